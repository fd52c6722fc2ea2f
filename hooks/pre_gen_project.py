"""Lock production's versions before the first file is rendered, and refuse a directory that is not empty."""

import os
import sys

# cookiecutter leaves this file with all answers in the directory for temporary files, where others may add modules.
os.remove(__file__)
sys.path[0] = r"""{{ template_root }}"""
import json

answers = json.loads(r"""{{ cookiecutter | for_hooks | tojson }}""")
if answers["__production_requirements"] or os.listdir():
    from ds_docker_env.generation import events

    sys.exit(events.prepare(answers))
