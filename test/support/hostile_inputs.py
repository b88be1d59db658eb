# SPDX-License-Identifier: Apache-2.0
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


class HostileBytes(NamedTuple):
    """A body."""

    name: str
    content: bytes


class HostileForm(NamedTuple):
    """The body of an upload, and the status of its refusal."""

    name: str
    content: bytes
    content_type: str = 'multipart/form-data; boundary=b'
    status: int = 400


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
    HostileDocument('exit verdicts that are a list', {'exit_verdicts': []}, ('/exit_verdicts',)),
    HostileDocument(
        'exit codes that are none',
        {'exit_verdicts': dict.fromkeys(('-1', '256', '01', '1.0', '1\n', '\u0663', ''), 'FAIL')},
        tuple(
            f'/exit_verdicts/{code}' for code in ('-1', '256', '01', '1.0', '1\n', '\\u0663', '')
        ),
    ),
    HostileDocument(
        'exit verdicts that are none',
        {'exit_verdicts': {'1': 'fail', '2': None, '3': True, '4': ['FAIL']}},
        tuple(f'/exit_verdicts/{code}' for code in range(1, 5)),
    ),
    HostileDocument('retries that are a number', {'retries': 3}, ('/retries',)),
    HostileDocument('retries without a limit', {'retries': {}}, ('/retries/limit',)),
    HostileDocument('no retries', {'retries': {'limit': 0}}, ('/retries/limit',)),
    HostileDocument('half a retry', {'retries': {'limit': 1.5}}, ('/retries/limit',)),
    HostileDocument(
        'retries of another kind',
        {'retries': {'limit': 11, 'delay_sec': 86401, 'backoff': 2}},
        ('/retries/backoff', '/retries/limit', '/retries/delay_sec'),
    ),
    HostileDocument(
        'retries before the end',
        {'retries': {'limit': 1, 'delay_sec': -1}},
        ('/retries/delay_sec',),
    ),
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

MORE_JSON_BYTES = (
    HostileBytes('invalid UTF-8', b'{"a": "\xff"}'),
    HostileBytes('an overlong encoding', b'{"a": "\xc0\xaf"}'),
    HostileBytes('a surrogate in UTF-8', b'{"a": "\xed\xa0\x80"}'),
    HostileBytes('UTF-16', '{"a": 1}'.encode('utf-16')),
    HostileBytes('two byte order marks', b'\xef\xbb\xbf\xef\xbb\xbf{}'),
    HostileBytes('NUL', b'\0'),
    HostileBytes('an array', b'[]'),
    HostileBytes('a text', b'"now"'),
    HostileBytes('a number', b'7'),
    HostileBytes('null', b'null'),
    HostileBytes('a million digits', b'{"a": 1' + b'0' * 1_000_000 + b'}'),
    HostileBytes('many long numbers', b'[' + b'9' * 4200 + (b',' + b'9' * 4200) * 240 + b']'),
    HostileBytes('a hundred thousand open objects', b'{"a":' * 100_000),
    HostileBytes('a hundred thousand empty arrays', b'[' + b'[],' * 340_000 + b'[]]'),
    HostileBytes('65 arrays in each other', b'{"a": ' + b'[' * 65 + b']' * 65 + b'}'),
)
"""Each is 400 wherever a JSON object is expected, as text cannot say it."""

PATH_SEGMENTS = (
    HostileText('an encoded dot', '%2e'),
    HostileText('the directory above, encoded', '%2e%2e'),
    HostileText('the directory above, encoded twice', '%252e%252e'),
    HostileText('a path upwards', '..%2f..%2f..%2fetc%2fpasswd'),
    HostileText('a path upwards of another system', '..%5c..%5cwin.ini'),
    HostileText('an absolute path', '%2fetc%2fpasswd'),
    HostileText('NUL', 'a%00b'),
    HostileText('only NUL', '%00'),
    HostileText('a line end', 'a%0d%0aX-Injected:%201'),
    HostileText('an escape sequence', '%1b%5b2J'),
    HostileText('invalid UTF-8', '%ff%fe'),
    HostileText('an overlong slash', '..%c0%af..'),
    HostileText('a broken escape', '%zz'),
    HostileText('half an escape', 'a%'),
    HostileText('a space', 'a%20b'),
    HostileText('a leading dash', '-rf'),
    HostileText('a leading dot', '.hidden'),
    HostileText('a wide slash', '%ef%bc%8f'),
    HostileText('text turned around', 'a%e2%80%ae'),
    HostileText('a digit of another script', '%d9%a3'),
    HostileText('257 characters', 'a' * 257),
    HostileText('4000 characters', 'a' * 4000),
    HostileText('SQL', "x'%20OR%20'1'='1"),
    HostileText('a shell command', '$(touch%20pwned)'),
    HostileText('a format', '%25s%25n{0}'),
    HostileText('a glob', '*'),
    HostileText('a semicolon', 'a;b'),
    HostileText('the id of nothing', 'nobody'),
)
"""Each, as an id in a path and percent-encoded, is 400 or 404 on every route."""

QUERY_VALUES = (
    HostileText('nothing', ''),
    HostileText('zero', '0'),
    HostileText('a plus', '%2b1'),
    HostileText('two signs', '--1'),
    HostileText('a fraction', '1.5'),
    HostileText('an exponent', '1e3'),
    HostileText('too great', '1001'),
    HostileText('too small', '-1001'),
    HostileText('far too great', '9' * 4000),
    HostileText('a text', 'ten'),
    HostileText('a digit of another script', '%d9%a3'),
    HostileText('an underscore', '1_0'),
    HostileText('a space', '%201'),
    HostileText('NUL', '1%00'),
    HostileText('invalid UTF-8', '%ff'),
    HostileText('SQL', '1;DROP%20TABLE%20executions'),
)
"""Each, as a `limit`, is 400."""

CONTENT_TYPES = (
    HostileText('none', ''),
    HostileText('a text', 'text/plain'),
    HostileText('a form', 'application/x-www-form-urlencoded'),
    HostileText('YAML', 'application/yaml'),
    HostileText('a pickle', 'application/python-pickle'),
    HostileText('no type', 'json'),
    HostileText('only a slash', '/'),
    HostileText('only parameters', ';charset=utf-8'),
    HostileText('another multipart', 'multipart/mixed; boundary=b'),
)
"""Each is 415 wherever a body is expected."""

METHODS = ('PATCH', 'TRACE', 'PROPFIND', 'MKCOL', 'get', 'X' * 200)
"""Each is 405, or refused by the HTTP parser, on every path."""

_FILE = b'Content-Disposition: form-data; name="file"; filename="check.sh"\r\n\r\n'
_METADATA = b'Content-Disposition: form-data; name="metadata"\r\n\r\n'
_FORM_TYPE = 'multipart/form-data; boundary=b'


def _form(*parts: bytes, end: bytes = b'--b--\r\n') -> bytes:
    return b''.join(b'--b\r\n' + part + b'\r\n' for part in parts) + end


_GOOD = _form(_FILE + b'true\n')

MULTIPART = (
    HostileForm('no boundary', _GOOD, content_type='multipart/form-data'),
    HostileForm('an empty boundary', _GOOD, content_type='multipart/form-data; boundary='),
    HostileForm('a long boundary', _GOOD, content_type=f'{_FORM_TYPE}{"x" * 100}'),
    HostileForm('another boundary', _GOOD, content_type='multipart/form-data; boundary=c'),
    HostileForm('no ASCII in the boundary', _GOOD, content_type='multipart/form-data; boundary=ü'),
    HostileForm('nothing', b''),
    HostileForm('no part', b'--b--\r\n'),
    HostileForm('no end', _form(_FILE + b'true\n', end=b'')),
    HostileForm('half an end', _form(_FILE + b'true\n', end=b'--b')),
    HostileForm('cut off in the file', b'--b\r\n' + _FILE + b'tr'),
    HostileForm('cut off in the headers', b'--b\r\nContent-Disposition: form-da'),
    HostileForm('cut off before the file', b'--b\r\n' + _FILE),
    HostileForm('a header without colon', _form(b'Content-Disposition\r\n\r\ntrue\n')),
    HostileForm('a header with NUL', _form(b'X: \0\r\n' + _FILE + b'true\n')),
    HostileForm('a header too long', _form(b'X: ' + b'a' * 100_000 + b'\r\n' + _FILE + b'x')),
    HostileForm('too many headers', _form(b'X: a\r\n' * 30_000 + _FILE + b'x')),
    HostileForm('a preamble of a megabyte', b'x' * 1_000_000 + b'\r\n' + _form()),
    HostileForm('no headers', _form(b'\r\ntrue\n')),
    HostileForm('no name', _form(b'Content-Disposition: form-data; filename="a.sh"\r\n\r\nx')),
    HostileForm(
        'another disposition',
        _form(b'Content-Disposition: attachment; filename="a.sh"\r\n\r\nx'),
    ),
    HostileForm(
        'no file name', _form(b'Content-Disposition: form-data; name="file"\r\n\r\ntrue\n')
    ),
    HostileForm(
        'an empty file name',
        _form(b'Content-Disposition: form-data; name="file"; filename=""\r\n\r\ntrue\n'),
    ),
    HostileForm(
        'a file name with broken escapes',
        _form(b'Content-Disposition: form-data; name="file"; filename*=utf-8\'\'%ff.sh\r\n\r\nx'),
    ),
    HostileForm('only metadata', _form(_METADATA + b'{}')),
    HostileForm(
        'an unknown part', _form(_FILE + b'x', b'Content-Disposition: form-data; name="x"\r\n\r\n')
    ),
    HostileForm('the file twice', _form(_FILE + b'x', _FILE + b'x')),
    HostileForm('metadata twice', _form(_FILE + b'x', _METADATA + b'{}', _METADATA + b'{}')),
    HostileForm(
        'ten thousand parts',
        _form(*[b'Content-Disposition: form-data; name="metadata"\r\n\r\n{}'] * 10_000),
    ),
    HostileForm(
        'a form in the form',
        _form(b'Content-Type: multipart/mixed; boundary=c\r\n' + _FILE + b'--c\r\n\r\nx\r\n--c--'),
    ),
    HostileForm(
        'a form without boundary in the form',
        _form(b'Content-Type: multipart/mixed\r\n' + _FILE + b'x'),
    ),
    HostileForm('base64', _form(b'Content-Transfer-Encoding: base64\r\n' + _FILE + b'!!!')),
    HostileForm(
        'quoted-printable', _form(b'Content-Transfer-Encoding: quoted-printable\r\n' + _FILE)
    ),
    HostileForm('an unknown encoding', _form(b'Content-Transfer-Encoding: x\r\n' + _FILE + b'x')),
    HostileForm('gzip in a part', _form(b'Content-Encoding: gzip\r\n' + _FILE + b'\x1f\x8b')),
    HostileForm(
        'a charset that is a story',
        _form(
            b'Content-Disposition: form-data; name="_charset_"\r\n\r\n' + b'x' * 100, _FILE + b'x'
        ),
    ),
    HostileForm('metadata that is no JSON', _form(_FILE + b'x', _METADATA + b'{')),
    HostileForm('metadata in no UTF-8', _form(_FILE + b'x', _METADATA + b'{"name": "\xff"}')),
    HostileForm('metadata too deep', _form(_FILE + b'x', _METADATA + b'[' * 100_000)),
    HostileForm(
        'metadata too large',
        _form(_FILE + b'x', _METADATA + b'{"name": "' + b'x' * 2_000_000 + b'"}'),
        status=413,
    ),
    HostileForm('a file too large', _form(_FILE + b'x' * 3_000_000), status=413),
)
"""Each is refused at upload, with 400 where nothing else is said."""

ODD_MULTIPART = (
    HostileForm(
        'a file name in an unknown charset',
        _form(
            b'Content-Disposition: form-data; name="file"; filename*=klingon\'\'a.sh\r\n\r\ntrue\n'
        ),
    ),
    HostileForm(
        'a name in an unknown charset',
        _form(
            b'Content-Disposition: form-data; name*=klingon\'\'file; filename="a.sh"\r\n\r\ntrue\n'
        ),
    ),
    HostileForm('a negative length', _form(b'Content-Length: -5\r\n' + _FILE + b'true\n')),
    HostileForm('a length that is a text', _form(b'Content-Length: x\r\n' + _FILE + b'true\n')),
    HostileForm('a length too great', _form(b'Content-Length: 9999\r\n' + _FILE + b'true\n')),
    HostileForm('a length too small', _form(b'Content-Length: 1\r\n' + _FILE + b'true\n')),
    HostileForm(
        'a charset that nobody knows',
        _form(
            b'Content-Disposition: form-data; name="_charset_"\r\n\r\nklingon', _FILE + b'true\n'
        ),
    ),
)
"""Each is refused, or taken for what it is without its odd header: a file with a line in it."""
