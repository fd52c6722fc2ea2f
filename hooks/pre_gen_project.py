"""Lock production's versions before a single file is rendered, and refuse a folder that has something in it."""

import os
import sys

# cookiecutter leaves it, with all answers, in the folder for temporary files, where modules of anybody may be, too.
os.remove(__file__)
sys.path[0] = r"""{{ template_root }}"""
import json

answers = json.loads(r"""{{ cookiecutter | for_hooks | tojson }}""")
if answers["__production_requirements"] or os.listdir():
    from ds_docker_env.generation import events

    sys.exit(events.prepare(answers))
