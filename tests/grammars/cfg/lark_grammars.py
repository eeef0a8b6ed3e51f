"""Thirty grammars in Lark's language, of the kinds that its documentation shows, with the parser each is meant for."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["LARK_GRAMMARS", "LarkCase"]


class LarkCase(NamedTuple):
    """A grammar, options of the parser, and some texts to begin mutations with."""

    text: str
    options: dict[str, Any]
    samples: tuple[str, ...]


def _case(text: str, *samples: str, **options: Any) -> LarkCase:
    return LarkCase(text, options, samples)


JSON = r"""
?start: value
?value: object | array | string | SIGNED_NUMBER -> number | "true" -> true | "false" -> false | "null" -> null
array  : "[" [value ("," value)*] "]"
object : "{" [pair ("," pair)*] "}"
pair   : string ":" value
string : ESCAPED_STRING
%import common.ESCAPED_STRING
%import common.SIGNED_NUMBER
%import common.WS
%ignore WS
"""

CALCULATOR = r"""
?start: sum | NAME "=" sum -> assign
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: atom | product "*" atom -> mul | product "/" atom -> div
?atom: NUMBER -> number | "-" atom -> neg | NAME -> var | "(" sum ")"
%import common.CNAME -> NAME
%import common.NUMBER
%import common.WS_INLINE
%ignore WS_INLINE
"""

AMBIGUOUS = r"""
start: e
e: e "+" e | e "*" e | "-" e | e "!" | "(" e ")" | NUMBER
NUMBER: /[0-9]+/
"""

CONFIGURATION = r"""
start: _NL? section+
section: "[" NAME "]" _NL item*
item: NAME "=" VALUE? _NL
NAME: /\w+/
VALUE: /.+/
_NL: /(\r?\n)+/
"""

TURTLE = r"""
start: instruction+
instruction: MOVEMENT NUMBER -> movement
    | "c" COLOR [COLOR] -> change_color
    | "fill" code_block -> fill
    | "repeat" NUMBER code_block -> repeat
code_block: "{" instruction+ "}"
MOVEMENT: "f"|"b"|"l"|"r"
COLOR: LETTER+
%import common.LETTER
%import common.INT -> NUMBER
%import common.WS
%ignore WS
"""

SQL = r"""
start: select ";"?
select: "SELECT"i ("DISTINCT"i)? columns "FROM"i table ("WHERE"i condition)? ("ORDER"i "BY"i NAME ("ASC"i|"DESC"i)?)?
columns: "*" | column ("," column)*
column: expr ("AS"i NAME)?
table: NAME ("JOIN"i NAME "ON"i condition)*
?condition: conjunction ("OR"i conjunction)*
?conjunction: comparison ("AND"i comparison)*
?comparison: expr OP expr | "NOT"i comparison | expr "IN"i "(" expr ("," expr)* ")"
?expr: NAME | NAME "." NAME | NUMBER | STRING | "COUNT"i "(" ("*" | expr) ")"
OP: "=" | "<>" | "<=" | ">=" | "<" | ">"
STRING: /'([^']|'')*'/
NAME: /[a-zA-Z_][a-zA-Z_0-9]*/
NUMBER: /\d+(\.\d+)?/
%import common.WS
%ignore WS
"""

DANGLING = r"""
start: statement+
statement: "if" NAME statement ("else" statement)? | NAME ";" | "{" statement* "}"
NAME: /[a-z]+/
%ignore /[ \n]+/
"""

KEYWORDS = r"""
start: (declaration | call)+
declaration: "let" NAME "=" value "."
call: NAME "(" [value ("," value)*] ")" "."
value: NAME | INT | "not" value | "in" | call2
call2: "fn" NAME "->" value
NAME: /[a-z_]\w*/
%import common.INT
%ignore " "
"""

PRIORITIES = r"""
start: (WORD | HEX | FLOAT | INT | OP)+
HEX.2: /0x[0-9a-f]+/i
FLOAT.1: /\d+\.\d*/
INT: /\d+/
WORD: /[^\W\d_]+/
OP: /[-+*]=?/
%ignore /\s+/
"""

TEMPLATES = r"""
start: list{number} | tuple{list{word}} | pairs
_sep{item, mark}: item (mark item)*
list{item}: "[" [_sep{item, ","}] "]"
tuple{item}: "<" _sep{item, ";"} ">"
pairs: _sep{pair, "&"}
pair: word "=" number
number: /-?\d+/
word: /[a-z]+/
"""

REPETITION = r"""
start: code ("-" code)~1..3 "!"~2 tail?
code: LETTER~2 DIGIT~2..4
tail: (/[xyz]/ "."?)~0..3 "end"
LETTER: /[A-Z]/
DIGIT: /[0-9]/
"""

LAZY = r"""
start: (comment | string | name)+
comment: COMMENT
string: STRING
name: NAME
COMMENT: /\/\*(.|\n)*?\*\//
STRING: /"(\\.|[^"\\])*?"/
NAME: /[a-z]+|\//
%ignore /[ \t\n]+/
"""

LOOKAHEAD = r"""
start: (plus | plusplus | word | dash)+
plus: /\+(?!\+)/
plusplus: "++"
word: /[a-z]+(?=[0-9;])/ (";" | DIGITS)
dash: /-\b/ /[a-z]/ ";"
DIGITS: /[0-9]+/
"""

XML = r"""
start: element
element: "<" NAME attribute* ("/>" | ">" content "</" NAME ">")
content: (element | TEXT | reference)*
attribute: NAME "=" VALUE
reference: "&" NAME ";"
NAME: /[a-zA-Z_][\w.-]*/
VALUE: /"[^"<&]*"/ | /'[^'<&]*'/
TEXT: /[^<&]+/
%ignore /[ \n]+/
"""

LISP = r"""
start: form*
?form: list | quoted | ATOM | STRING
list: "(" form* ")"
quoted: "'" form
ATOM: /[^\s()'"]+/
STRING: /"[^"]*"/
%ignore /\s+/
"""

FRUIT = r"""
start: noun verb noun | noun verb "like" noun
noun: adj? NOUN
verb: VERB
adj: ADJ
NOUN: "flies" | "bananas" | "fruit"
VERB: "like" | "flies"
ADJ: "fruit"
%import common.WS
%ignore WS
"""

PALINDROME = r"""
start: p
p: "a" p "a" | "b" p "b" | "a" | "b" |
"""

LEFT = r"""
start: a
a: b "x" | "p"
b: a "y" | c? a "z" | "q"
c: "w"
"""

NULLABLE = r"""
start: a b c d
a: "a"*
b: ("b" | c)?
c: "c" c |
d: a? b? "d"~0..2
"""

LISTS = r"""
start: item+
item: WORD | item item | "(" item* ")"
WORD: /[a-z]/
"""

HEADERS = r"""
start: request _NL header* _NL?
request: METHOD " " PATH " HTTP/" VERSION
header: KEY ":" " "? TEXT _NL
METHOD: "GET" | "POST" | "PUT"
PATH: /\/[^\s?#]*/
VERSION: /1\.[01]/
KEY: /[A-Za-z-]+/
TEXT: /[^\r\n]+/
_NL: "\r\n" | "\n"
"""

DATES = r"""
start: date ("T" time zone?)?
date: YEAR "-" MONTH "-" DAY
time: HOUR ":" MINUTE (":" MINUTE ("." /[0-9]+/)?)?
zone: "Z" | ("+" | "-") HOUR ":" MINUTE
YEAR: /[0-9]{4}/
MONTH: "0" "1".."9" | "1" "0".."2"
DAY: "0" "1".."9" | ("1"|"2") "0".."9" | "30" | "31"
HOUR: /[01][0-9]|2[0-3]/
MINUTE: /[0-5][0-9]/
"""

UNICODE = r"""
start: (word | number | emoji | punctuation)+
word: /[^\W\d_]+/
number: /\d+/
emoji: /[\U0001F600-\U0001F64F]/
punctuation: /[«»…¿¡]/
%ignore " "
"""

CASELESS = r"""
start: command+
command: "go"i DIRECTION | "take"i THING | "LOOK"i
DIRECTION: "north"i | "south"i | /up|down/i
THING: /[a-zß]+/i
%ignore /\s+/
%ignore /#[^\n]*/
"""

LAMBDA = r"""
?start: abstraction
?abstraction: "\\" NAME+ "." abstraction | application
?application: application atom | atom
?atom: NAME | "(" abstraction ")"
NAME: /[a-z]'*/
%ignore " "
"""

CSV = r"""
start: row (_NL row)*
row: field ("," field)*
field: QUOTED | PLAIN |
QUOTED: /"([^"]|"")*"/
PLAIN: /[^",\n]+/
_NL: "\n"
"""

REGEX = r"""
start: branch ("|" branch)*
branch: piece*
piece: atom (QUANTIFIER | "{" INT ("," INT?)? "}")?
atom: CHAR | "." | ESCAPE | "[" "^"? range+ "]" | "(" start ")"
range: (CHAR | ESCAPE | ".") ("-" (CHAR | ESCAPE))?
QUANTIFIER: /[*+?]\??/
ESCAPE: /\\./
CHAR: /[a-zA-Z0-9 ,]/
INT: /[0-9]+/
"""

ALIASES = r"""
start: (a | b)+
!a: "begin" inner "end" -> block
  | "skip" ";" -> nothing
_hidden: "x" | "y"
inner: _hidden*
?b: "z" ";" | "{" b "}"
%ignore " "
"""

EXTENDED = r"""
start: item ("," item)*
item: INT | WORD
WORD: /never/
%extend item: "@" WORD
%override WORD: /[a-z]{2,4}/
%import common.INT
"""

CALLS = r"""
start: stmt (";" stmt)* ";"?
stmt: lvalue "=" expr | call
?lvalue: NAME | lvalue "." NAME | lvalue "[" expr "]"
call: lvalue "(" arguments? ")"
arguments: expr ("," expr)* ("," keyword)* | keyword ("," keyword)*
keyword: NAME ":" expr
?expr: compare | expr "?" expr ":" expr
?compare: term (("<"|">"|"=="|"!=") term)*
?term: factor (("+"|"-") factor)*
?factor: primary | "-" factor
?primary: lvalue | call | NUMBER | STRING | "(" expr ")"
NAME: /[a-zA-Z_]\w*/
NUMBER: /\d+(\.\d+)?([eE][-+]?\d+)?/
STRING: /"[^"\n]*"/
COMMENT: /\/\/[^\n]*/
%ignore COMMENT
%ignore /\s+/
"""

LARK_GRAMMARS: dict[str, LarkCase] = {
    "json": _case(JSON, '{"a": [1, -2.5e3, true], "b": {"c": null}}', "[]", '"x\\"y"'),
    "calculator": _case(CALCULATOR, "x = 1 + 2 * -(3 - y)", "1/2"),
    "ambiguous": _case(AMBIGUOUS, "1+2*-3!", "(1)+2", parser="earley"),
    "configuration": _case(CONFIGURATION, "[a]\nx=1 2\ny=\n", "\n[b]\n"),
    "turtle": _case(TURTLE, "c red yellow fill { repeat 36 { f200 l170 } }", "f1b2"),
    "sql": _case(SQL, "select a, count(*) as n from t where a.x >= 1 and not b <> 'it''s' order by n desc;"),
    "dangling": _case(DANGLING, "if a if b c; else d;", "{ ifs; }"),
    "keywords": _case(KEYWORDS, "let x = not in. letter(fn f -> y, 3).", "f()."),
    "priorities": _case(PRIORITIES, "0xFF 1.5 12 abc +=", "1.x"),
    "templates": _case(TEMPLATES, "[1,-2]", "<[a];[b,c]>", "a=1&b=2"),
    "repetition": _case(REPETITION, "AB12-CD345!!", "AB12-CD34-EF5678!!x.yend"),
    "lazy": _case(LAZY, '/* a */ "b\\"c" x /', "a/b/**/"),
    "lookahead": _case(LOOKAHEAD, "+++ab1", "abc;-a;", "++"),
    "xml": _case(XML, '<a b="c"><d/>text &amp; more</a>', "<a></a>", parser="earley"),
    "lisp": _case(LISP, '(define (f x) \'(1 "two"))', "'a"),
    "fruit": _case(FRUIT, "fruit flies like bananas", "flies like fruit", parser="earley"),
    "palindrome": _case(PALINDROME, "abba", "abaaba", "", parser="earley"),
    "left": _case(LEFT, "p", "qx", "qxyx", "wpzx", parser="earley"),
    "nullable": _case(NULLABLE, "aabcccd", "", "dd", parser="earley"),
    "lists": _case(LISTS, "a(bc)d", "()", parser="earley"),
    "headers": _case(HEADERS, "GET /a HTTP/1.1\nHost: x\n\n", "PUT / HTTP/1.0\r\n"),
    "dates": _case(DATES, "2024-02-30T23:59:59.123Z", "1999-12-31", "2000-01-01T00:00+01:30"),
    "unicode": _case(UNICODE, "héllo 12 ٣ 😀«»", "ñ"),
    "caseless": _case(CASELESS, "Go North take Straße LOOK # rest", "gO up"),
    "lambda": _case(LAMBDA, "\\x y. x (y x')", "a b c"),
    "csv": _case(CSV, 'a,"b ""c"""\n,x', ""),
    "regex": _case(REGEX, "a(b|c)*[^d-f]{2,}", "\\.+?|"),
    "aliases": _case(ALIASES, "begin x y end z;", "skip;{{z;}}"),
    "extended": _case(EXTENDED, "12,ab,@cd", "abcd"),
    "calls": _case(CALLS, "a.b[1] = f(x, y: 2) ; g() // c\n", 'x = -1.5e-3 < "s" ? a : b'),
}
