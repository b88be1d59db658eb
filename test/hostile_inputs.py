"""What a hostile or careless client sends: a catalogue, each with the name of what it tries.

Refused where the name says `refused`, only bounded where it is legal but made to cost time.
"""

from collections.abc import Mapping
import json
from typing import Any, NamedTuple


class HostileSchema(NamedTuple):
    """A parameters_schema."""

    name: str
    schema: Mapping[str, Any]


class HostileParameters(NamedTuple):
    """A schema that is accepted, and parameters that must be refused in bounded time."""

    name: str
    schema: Mapping[str, Any]
    parameters: Mapping[str, Any]


class HostileText(NamedTuple):
    """A file name, or the bytes of a JSON document, as text."""

    name: str
    text: str


class HostileDocument(NamedTuple):
    """A metadata document, and the JSON Pointers of its violations."""

    name: str
    document: Any
    paths: tuple[str, ...]


def _nested(levels: int, keyword: str) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {keyword: schema}
    return schema


def _doubling(levels: int) -> dict[str, Any]:
    """Each definition applies the next one twice: 2 ** levels evaluations."""
    definitions: dict[str, Any] = {
        f'd{level}': {'anyOf': [{'$ref': f'#/$defs/d{level + 1}'}] * 2} for level in range(levels)
    }
    definitions[f'd{levels}'] = False
    return {'$ref': '#/$defs/d0', '$defs': definitions}


def _chain(levels: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f'd{level}': {'$ref': f'#/$defs/d{level + 1}'} for level in range(levels)
    }
    definitions[f'd{levels}'] = {}
    return {'$ref': '#/$defs/d0', '$defs': definitions}


def _loop_through(keyword: str) -> dict[str, Any]:
    if keyword in ('allOf', 'anyOf', 'oneOf'):
        return {keyword: [{}, {'$ref': '#'}]}
    if keyword == 'dependentSchemas':
        return {keyword: {'a': {'$ref': '#'}}}
    return {keyword: {'$ref': '#'}}


LOOPS = tuple(
    HostileSchema(f'a loop through {keyword}', _loop_through(keyword))
    for keyword in (
        'allOf',
        'anyOf',
        'oneOf',
        'not',
        'if',
        'then',
        'else',
        'dependentSchemas',
    )
)

OUTSIDE_REFERENCES = tuple(
    HostileSchema(f'a {keyword} to {reference}', {'properties': {'a': {keyword: reference}}})
    for keyword in ('$ref', '$dynamicRef')
    for reference in (
        'http://127.0.0.1:9/schema.json',
        'https://example.com/schema.json#/x',
        'file:///etc/passwd',
        'file:///etc/passwd#/x',
        'ftp://127.0.0.1/x',
        '//127.0.0.1/x',
        'other.json',
        '/etc/passwd',
        'urn:uuid:0e8d5b2c-0000-0000-0000-000000000000',
        'https://json-schema.org/draft/2020-12/schema',
        'x#/properties/a',
        '',
    )
)

REFUSED_SCHEMAS = (
    *LOOPS,
    *OUTSIDE_REFERENCES,
    HostileSchema('a reference to itself', {'$ref': '#'}),
    HostileSchema('a dynamic reference to itself', {'$dynamicRef': '#a', '$dynamicAnchor': 'a'}),
    HostileSchema(
        'two that refer to each other',
        {
            '$ref': '#/$defs/a',
            '$defs': {'a': {'$ref': '#/$defs/b'}, 'b': {'$ref': '#/$defs/a'}},
        },
    ),
    HostileSchema(
        'a loop that nothing reaches', {'$defs': {'a': {'allOf': [{'$ref': '#/$defs/a'}]}}}
    ),
    HostileSchema('a loop by anchor', {'$defs': {'a': {'$anchor': 'me', 'not': {'$ref': '#me'}}}}),
    HostileSchema('a pointer to nothing', {'$ref': '#/$defs/missing'}),
    HostileSchema('an anchor that is not there', {'$ref': '#missing'}),
    HostileSchema('a pointer to a value', {'$ref': '#/const', 'const': {'type': 'string'}}),
    HostileSchema('a pointer to a list', {'$ref': '#/allOf', 'allOf': [{}]}),
    HostileSchema('a reference that is a number', {'$ref': 7}),
    HostileSchema(
        'a base in the middle', {'properties': {'a': {'$id': 'http://x/', '$ref': '#'}}}
    ),
    HostileSchema('a dialect in the middle', {'items': {'$schema': 'http://x/'}}),
    HostileSchema('draft 7', {'$schema': 'http://json-schema.org/draft-07/schema#'}),
    HostileSchema('a dialect of its own', {'$schema': 'http://127.0.0.1:9/meta'}),
    HostileSchema('a dialect that is a list', {'$schema': ['x']}),
    HostileSchema('a recursive reference of 2019-09', {'items': {'$recursiveRef': '#'}}),
    HostileSchema('one anchor twice', {'items': {'$anchor': 'a'}, 'not': {'$anchor': 'a'}}),
    HostileSchema('an invalid pattern', {'properties': {'a': {'pattern': '(['}}}),
    HostileSchema('an invalid pattern of properties', {'patternProperties': {'*': {}}}),
    HostileSchema('a pattern of another language', {'pattern': r'\p{Letter}'}),
    HostileSchema('a pattern that repeats too often', {'pattern': 'a{99999999999}'}),
    HostileSchema('a pattern that nests too deep', {'pattern': '(' * 5000 + ')' * 5000}),
    HostileSchema('an unknown type', {'type': 'int'}),
    HostileSchema('properties that are a list', {'properties': ['a']}),
    HostileSchema('a minimum that is a text', {'minimum': '1'}),
    HostileSchema('deep', _nested(200, 'not')),
    HostileSchema('very deep', _nested(900, 'items')),
    HostileSchema('huge', {'enum': ['x' * 1000] * 100}),
    HostileSchema('a doubling of 30 levels', _doubling(30)),
    HostileSchema('a chain of 500 references', _chain(500)),
)
"""Each is 400 at upload."""

ACCEPTED_SCHEMAS = (
    HostileSchema('nothing', {}),
    HostileSchema('its dialect', {'$schema': 'https://json-schema.org/draft/2020-12/schema'}),
    HostileSchema('a base', {'$id': 'http://127.0.0.1:9/x', 'items': {'$ref': '#'}}),
    HostileSchema('a property called $ref', {'properties': {'$ref': {'type': 'string'}}}),
    HostileSchema('a property called $id', {'properties': {'$id': {'type': 'string'}}}),
    HostileSchema('a property called $schema', {'properties': {'$schema': {'const': 1}}}),
    HostileSchema('a property called pattern', {'properties': {'pattern': {'type': 'string'}}}),
    HostileSchema('a reference as a value', {'const': {'$ref': 'http://127.0.0.1:9/'}}),
    HostileSchema('references as values', {'enum': [{'$ref': 'http://127.0.0.1:9/'}]}),
    HostileSchema('a default with a reference', {'default': {'$ref': 'file:///etc/passwd'}}),
    HostileSchema('an example with a pattern', {'examples': [{'pattern': '(['}]}),
    HostileSchema('unknown keywords', {'x-unit': {'$ref': 'http://127.0.0.1:9/'}}),
    HostileSchema(
        'a tree',
        {'type': 'object', 'properties': {'children': {'type': 'array', 'items': {'$ref': '#'}}}},
    ),
    HostileSchema(
        'names that need escapes',
        {'$defs': {'a/b~c%d e': {'type': 'integer'}}, '$ref': '#/$defs/a~1b~0c%25d%20e'},
    ),
    HostileSchema('an anchor', {'$defs': {'a': {'$anchor': 'x'}}, 'items': {'$ref': '#x'}}),
    HostileSchema(
        'old definitions', {'definitions': {'a': {}}, 'items': {'$ref': '#/definitions/a'}}
    ),
)
"""Each looks like one of the refused and is not."""

COSTLY_PARAMETERS = (
    HostileParameters(
        'a pattern that backtracks',
        {'properties': {'a': {'pattern': '(a+)+$'}}},
        {'a': 'a' * 60 + '!'},
    ),
    HostileParameters(
        'a pattern of properties that backtracks',
        {'patternProperties': {'^(([a-z])+.)+[A-Z]([a-z])+$': {}}},
        {'a' * 60: 1},
    ),
    HostileParameters(
        'branches that double with the depth of the value',
        {
            '$defs': {
                'node': {
                    'anyOf': [
                        {'properties': {'n': {'$ref': '#/$defs/node'}}, 'required': ['x']},
                        {'properties': {'n': {'$ref': '#/$defs/node'}}, 'required': ['y']},
                    ]
                }
            },
            '$ref': '#/$defs/node',
        },
        json.loads('{"n":' * 40 + '{}' + '}' * 40),
    ),
    HostileParameters(
        'parameters deeper than any limit',
        {},
        json.loads('{"n":' * 400 + '1' + '}' * 400),
    ),
)
"""Each is 400 at the start of an execution, by a limit or by the deadline."""

FILE_NAMES = (
    HostileText('empty', ''),
    HostileText('a dot', '.'),
    HostileText('the directory above', '..'),
    HostileText('a path upwards', '../../etc/cron.d/check.sh'),
    HostileText('an absolute path', '/etc/cron.d/check.sh'),
    HostileText('a path of another system', '..\\check.sh'),
    HostileText('a path inside', 'a/check.sh'),
    HostileText('NUL', 'check.sh\0.txt'),
    HostileText('NUL before the suffix', 'check\0.sh'),
    HostileText('a line end', 'check\n.sh'),
    HostileText('an escape sequence', '\x1b[2Jcheck.sh'),
    HostileText('DEL', 'check\x7f.sh'),
    HostileText('a C1 control', 'check\x9b.sh'),
    HostileText('text turned around', 'check\u202ehs.exe.sh'),
    HostileText('an isolate', 'check\u2066.sh'),
    HostileText('a zero width space', 'check\u200b.sh'),
    HostileText('a byte order mark', '\ufeffcheck.sh'),
    HostileText('a soft hyphen', 'che\xadck.sh'),
    HostileText('a line separator', 'check\u2028.sh'),
    HostileText('a wide slash', '..\uff0fcheck.sh'),
    HostileText('a division slash', 'a\u2215check.sh'),
    HostileText('a fraction slash', 'a\u2044check.sh'),
    HostileText('two dot leader', '\u2025'),
    HostileText('a lone surrogate', 'check\ud800.sh'),
    HostileText('a private character', 'check\ue000.sh'),
    HostileText('a noncharacter', 'check\uffff.sh'),
    HostileText('a leading space', ' check.sh'),
    HostileText('a trailing space', 'check.sh '),
    HostileText('a trailing wide space', 'check.sh\u3000'),
    HostileText('256 bytes', 'a' * 253 + '.sh'),
    HostileText('256 bytes in few characters', '\u20ac' * 85 + '.sh'),
)
"""Each is 400 at upload, whatever the metadata say."""

METADATA = (
    HostileDocument('no object', [], ('',)),
    HostileDocument('null', None, ('',)),
    HostileDocument('an unknown field', {'nmae': 'x'}, ('/nmae',)),
    HostileDocument('a field that needs escapes', {'a/b~c': 1}, ('/a~1b~0c',)),
    HostileDocument('a name that is a number', {'name': 7}, ('/name',)),
    HostileDocument('an empty name', {'name': ''}, ('/name',)),
    HostileDocument('a blank name', {'name': ' \t'}, ('/name',)),
    HostileDocument('an over-long name', {'name': 'x' * 256}, ('/name',)),
    HostileDocument('a name with a line end', {'name': 'a\nb'}, ('/name',)),
    HostileDocument('a name turned around', {'name': 'a\u202eb'}, ('/name',)),
    HostileDocument('a lone surrogate', {'name': '\ud800'}, ('/name',)),
    HostileDocument('an over-long description', {'description': 'x' * 4097}, ('/description',)),
    HostileDocument('a description with NUL', {'description': 'a\0b'}, ('/description',)),
    HostileDocument('tags that are a text', {'tags': 'a'}, ('/tags',)),
    HostileDocument('33 tags', {'tags': ['a'] * 33}, ('/tags',)),
    HostileDocument('tags of all kinds', {'tags': ['a', 1, 'x' * 65]}, ('/tags/1', '/tags/2')),
    HostileDocument('true as a time', {'timeout_sec': True}, ('/timeout_sec',)),
    HostileDocument('no time', {'timeout_sec': 0}, ('/timeout_sec',)),
    HostileDocument('a negative time', {'timeout_sec': -1}, ('/timeout_sec',)),
    HostileDocument('not a number', {'timeout_sec': float('nan')}, ('/timeout_sec',)),
    HostileDocument('infinity', {'timeout_sec': float('inf')}, ('/timeout_sec',)),
    HostileDocument('a huge number', {'timeout_sec': 10**5000}, ('/timeout_sec',)),
    HostileDocument('a time as text', {'timeout_sec': '5'}, ('/timeout_sec',)),
    HostileDocument('one as a flag', {'single_execution': 1}, ('/single_execution',)),
    HostileDocument(
        'a flag as text', {'proximity_proof_required': 'true'}, ('/proximity_proof_required',)
    ),
    HostileDocument('a schema that is true', {'parameters_schema': True}, ('/parameters_schema',)),
    HostileDocument('a schema as text', {'parameters_schema': '{}'}, ('/parameters_schema',)),
    HostileDocument('an unknown kind', {'kind': 'perl'}, ('/kind',)),
    HostileDocument('a kind for managed scripts', {'kind': 'executable'}, ('/kind',)),
    HostileDocument('a kind that is a list', {'kind': ['sh']}, ('/kind',)),
    HostileDocument('limits that are a list', {'limits': []}, ('/limits',)),
    HostileDocument('an unknown limit', {'limits': {'ram': 1}}, ('/limits/ram',)),
    HostileDocument('half a process', {'limits': {'processes': 1.5}}, ('/limits/processes',)),
    HostileDocument('no memory', {'limits': {'memory_mb': 0}}, ('/limits/memory_mb',)),
    HostileDocument('true as memory', {'limits': {'memory_mb': True}}, ('/limits/memory_mb',)),
    HostileDocument(
        'everything wrong at once',
        {'name': 1, 'tags': [2], 'kind': 3, 'limits': {'cpu_sec': 'x', 'y': 1}, 'z': 0},
        ('/name', '/tags/0', '/kind', '/limits/cpu_sec', '/limits/y', '/z'),
    ),
)
"""Each is 400 at upload with exactly these violations."""

JSON_DOCUMENTS = (
    HostileText('nothing', ''),
    HostileText('half an object', '{"a": '),
    HostileText('two objects', '{}{}'),
    HostileText('NaN', '{"a": NaN}'),
    HostileText('Infinity', '{"a": Infinity}'),
    HostileText('minus Infinity', '{"a": -Infinity}'),
    HostileText('too great for a double', '{"a": 1e999}'),
    HostileText('a number of 5000 digits', '{"a": ' + '9' * 5000 + '}'),
    HostileText('100000 open arrays', '[' * 100_000),
    HostileText('5000 arrays in each other', '{"a": ' + '[' * 5000 + ']' * 5000 + '}'),
    HostileText('a lone surrogate', '{"a": "\\ud800"}'),
    HostileText('a lone surrogate as a key', '{"\\udfff": 1}'),
    HostileText('a control character', '{"a": "\n"}'),
    HostileText('a comment', '{"a": 1} // x'),
    HostileText('single quotes', "{'a': 1}"),
    HostileText('a trailing comma', '{"a": 1,}'),
)
"""Each is 400 wherever JSON is expected."""
