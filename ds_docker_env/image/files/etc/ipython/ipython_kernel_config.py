import logging

import IPython

# Jupyter interrupts a kernel before it shuts it down, and ipykernel 7 logs that as an error.
logging.getLogger("IPKernelApp").addFilter(lambda record: "KeyboardInterrupt caught in kernel" not in str(record.msg))

# IPython before 7.20 is incompatible with jedi 0.18, and completion shows an error.
if IPython.version_info < (7, 20):
    c.IPCompleter.use_jedi = False

# Otherwise the ids in an SVG figure are random.
c.InlineBackend.rc = {"svg.hashsalt": "constant"}


def chart(figure):
    """Show a chart of Altair by JupyterLab's own Vega, without internet, unless the notebook has enabled a renderer."""
    import altair

    if altair.renderers.active != "default":
        return figure._repr_mimebundle_()
    with altair.renderers.enable("mimetype", **altair.renderers.options):
        shown = figure._repr_mimebundle_()
    data, metadata = shown if isinstance(shown, tuple) else (shown, {})
    # JupyterLab knows versions up to 5, which draws charts for 6 as well.
    newer, known = "application/vnd.vegalite.v6.json", "application/vnd.vegalite.v5+json"
    return tuple({known if name == newer else name: each for name, each in part.items()} for part in (data, metadata))


c.MimeBundleFormatter.deferred_printers = {
    (f"altair.vegalite.v{version}.api", "TopLevelMixin"): chart for version in (4, 5, 6)
}
