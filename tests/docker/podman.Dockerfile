# A machine with Podman and an ordinary user, for the tests: Debian's, as its users get it.
FROM python:3.13-trixie
RUN apt-get update --quiet && \
    apt-get install --quiet --yes --no-install-recommends \
        aardvark-dns docker-compose fuse-overlayfs netavark nftables passt podman podman-compose uidmap && \
    useradd --create-home --uid 1500 analyst && \
    install --directory --owner analyst /run/user/1500 /home/analyst/.local/share/containers
ENV XDG_RUNTIME_DIR=/run/user/1500 PODMAN_IGNORE_CGROUPSV1_WARNING=1
USER analyst
WORKDIR /home/analyst/project
# Without systemd its socket has to be served by hand.
CMD ["podman", "system", "service", "--time=0"]
