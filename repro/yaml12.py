"""YAML in version 1.2, which DVC and Hydra read, for PyYAML, which reads 1.1."""

import re

import yaml


class Yaml12(yaml.SafeLoader):
    """YAML as DVC and Hydra read it, version 1.2: 1e-3 is a number, and yes, no and off are words."""

    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        """As the class it comes from, but a key that stands twice is an error."""
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_FLOAT = r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _tag, _pattern in {
    "bool": "true|True|TRUE|false|False|FALSE",
    "null": "~|null|Null|NULL|",
    "int": "[-+]?(0|[1-9][0-9_]*)",
    "float": _FLOAT,
}.items():
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), None)
