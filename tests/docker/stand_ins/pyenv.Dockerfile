# A Python that Debian does not ship, for a stand-in base image: the build context is one that pyenv built on Debian 12,
# which goes where the official images have theirs. Its packages stay behind, as they are this machine's.
ARG BASE
FROM $BASE
ARG VERSION
ARG PREFIX
RUN --mount=type=bind,target=/built \
    rm /usr/local/bin/* && \
    tar -C /built --exclude=__pycache__ --exclude=site-packages --exclude=test --exclude=tests --exclude='config-*' \
        -c "bin/python$VERSION" "include/python$VERSION" "lib/python$VERSION" "lib/libpython$VERSION.so.1.0" | \
        tar -C /usr/local -x --no-same-owner && \
    sed -i "s|$PREFIX|/usr/local|g" "/usr/local/lib/python$VERSION"/_sysconfigdata*.py && \
    ln -s "libpython$VERSION.so.1.0" "/usr/local/lib/libpython$VERSION.so" && \
    ln -s "python$VERSION" /usr/local/bin/python3 && \
    ln -s python3 /usr/local/bin/python && \
    ldconfig && \
    python -m ensurepip --default-pip && \
    python -c "import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib"
