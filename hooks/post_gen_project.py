"""Add the files that stay on this machine, and print the next steps."""

import os
import sys

# cookiecutter leaves this file with all answers in the directory for temporary files, where others may add modules.
os.remove(__file__)
sys.path[0] = r"""{{ template_root }}"""
import json

from ds_docker_env.generation import events

answers = json.loads(r"""{{ cookiecutter | for_hooks | tojson }}""")
sys.exit(events.finish(answers, json.loads(r"""{{ cookiecutter | images | tojson }}""")))
