# %pip and %uv run the image's commands. Each cell checks whether the packages changed, such as by add in a terminal.
def set_up(shell):
    import re

    import _overlay

    seen = [_overlay.refresh()]

    def notice(_=None):
        packages = _overlay.refresh()
        if packages != seen[0]:
            seen[0] = packages
            old = [f"{name} {before} (now {now or 'removed'})" for name, before, now in _overlay.outdated()]
            if old:
                print(f"Restart the kernel: it has imported {', '.join(old)}.")

    def command(name):
        # A shell reads > as a redirection.
        quoted = re.compile(r"(?<!\S)[A-Za-z][\w.,\[\]-]*[<>=!~]+\d[^\s'\"]*")
        return lambda line: shell.system(f"{name} {quoted.sub(lambda found: repr(found[0]), line)}")

    for name in ("pip", "uv"):
        shell.register_magic_function(command(name), magic_name=name)
    for event in ("pre_run_cell", "post_run_cell"):
        shell.events.register(event, notice)


set_up(get_ipython())
del set_up
