# When memory is full, the kernel ends and the server stays.
open("/proc/self/oom_score_adj", "w").write("1000")


def explain(shell, kind, error, traceback, tb_offset=None):
    import resource
    import sys

    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
    most = resource.getrlimit(resource.RLIMIT_DATA)[0] / 2**30
    here = f"this process needs more than the {most:.1f} GiB that it may use" if most > 0 else "memory is full"
    print(f"memory: {here}; set MEMORY=16g in .env, then run: docker compose up", file=sys.stderr)


get_ipython().set_custom_exc((MemoryError,), explain)
del explain
