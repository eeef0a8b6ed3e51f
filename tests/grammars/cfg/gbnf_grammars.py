"""Twenty-five grammars in GBNF, of the kinds that llama.cpp documents, each with texts that it accepts."""

from __future__ import annotations

__all__ = ["GBNF_GRAMMARS"]

GBNF_GRAMMARS: dict[str, tuple[str, tuple[str, ...]]] = {
    "json": (r'''
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( pair ("," ws pair)* )? "}" ws
pair   ::= string ":" ws value
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
''', ('{"a": [1, -2.5e3, {}], "b\\u00e9": null}\n', "{}")),
    "arithmetic": (r'''
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
''', ("1+2*(x -3)=y\n\n", "a=b\n")),
    "chess": (r'''
root   ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")*
move   ::= (pawn | piece | castle) [+#]?
piece  ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn   ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?
''', ("1. e4 e5\n2. Nf3 Nc6+\n10. O-O-O exd8=Q#\n",)),
    "list": (r'''
# a bulleted list
root ::= item+
item ::= "- " [^\r\n\x0b\x0c\x85\u2028\u2029]+ "\n"
''', ("- one\n- två\n",)),
    "c": (r'''
root        ::= (declaration)*
declaration ::= type identifier "(" parameter? ")" "{" statement* "}"
type        ::= ("int" | "float" | "char") " "
identifier  ::= [a-zA-Z_] [a-zA-Z_0-9]*
parameter   ::= type identifier
statement   ::=
    ( type identifier ws "=" ws expression ";" ) |
    ( identifier ws "=" ws expression ";" ) |
    ( identifier ws "(" argList? ")" ";" ) |
    ( "return" ws expression ";" ) |
    ( "while" "(" condition ")" "{" statement* "}" ) |
    ( "if" "(" condition ")" "{" statement* "}" ("else" "{" statement* "}")? )
condition   ::= expression relation expression
relation    ::= "<=" | "<" | "==" | "!=" | ">=" | ">"
expression  ::= term (("+" | "-") term)*
term        ::= factor (("*" | "/") factor)*
factor      ::= identifier | number | "-" factor | identifier "(" argList? ")" | "(" expression ")"
argList     ::= expression ("," ws expression)*
number      ::= [0-9]+
ws          ::= [ \t\n]*
''', ("int f(int x){return x*(2+1);}", "char a(){if(b<1){c = d(e, 1);}else{}}")),
    "left": (r'''
root ::= sum
sum  ::= sum "+" prod | sum "-" prod | prod
prod ::= prod "*" atom | atom
atom ::= [0-9]+ | "(" sum ")"
''', ("1+2*3-(4)",)),
    "ambiguous": ('root ::= root "+" root | root root | "a" | "b"?\n', ("a+bab", "", "++")),
    "hidden": (r'''
root ::= opt root "x" | "y"
opt  ::= "z"?
''', ("zzyxx", "y")),
    "palindrome": ('root ::= "a" root "a" | "b" root "b" | [ab]?\n', ("abaaba", "b")),
    "dyck": ('root ::= ("(" root ")" | "[" root "]" | "<" root ">")*\n', ("([]<()>)", "")),
    "japanese": (r'''
root ::= jp-char+ ([ \t\n] jp-char+)*
jp-char ::= hiragana | katakana | punctuation | cjk
hiragana ::= [ぁ-ゟ]
katakana ::= [ァ-ヿ]
punctuation ::= [、-〾]
cjk ::= [一-鿿]
''', ("日本 ひらがな、カタカナ",)),
    "escapes": (r'''
root ::= "\x41\u00e9\U0001F600" [\x42-\x44\]\[\\^-]+ "\"\t"
''', ("Aé😀B]-\\^\"\t",)),
    "bounded": ('root ::= [a-c]{2} ("," [0-9]{1,3}){0,2} "!"{,2} "?"{1,}\n', ("ab,12,3!?", "cc??")),
    "counted": ('root ::= pair{2,3}\npair ::= "(" root? ")" | "."\n', ("..", "(...)(..).")),
    "date": (r'''
root  ::= year "-" month "-" day
year  ::= [0-9]{4}
month ::= "0" [1-9] | "1" [0-2]
day   ::= ("0" [1-9] | [12] [0-9]) | "3" [01]
''', ("2024-12-31",)),
    "xml": (r'''
root    ::= element
element ::= "<" name attr* (">" content* "</" name ">" | "/>")
attr    ::= " " name "=\"" [^"<]* "\""
content ::= element | [^<&]+ | "&" name ";"
name    ::= [a-z]+
''', ('<a b="c"><d/>x&lt;y</a>',)),
    "lisp": (r'''
root ::= ws form+
form ::= atom ws | "(" ws form* ")" ws | "'" form
atom ::= [a-z0-9+*-]+
ws   ::= [ \n]*
''', ("(define x '(1 2 (3)))", " a b")),
    "regex": (r'''
root  ::= seq ("|" seq)*
seq   ::= (atom [*+?]?)*
atom  ::= [a-z.] | "\\" . | "(" root ")" | "[" "^"? [a-z-]+ "]"
''', ("a(b|c)*[^d-f]?\\*", "")),
    "boolean": (r'''
root ::= or
or   ::= and (ws "or" ws and)*
and  ::= not (ws "and" ws not)*
not  ::= "not" ws not | "true" | "false" | "(" or ")"
ws   ::= " "+
''', ("not true and (false or true)",)),
    "sql": (r'''
root   ::= "SELECT " cols " FROM " name (" WHERE " cond)? ";"
cols   ::= "*" | col (", " col)*
col    ::= name | "COUNT(" name ")"
cond   ::= cmp ((" AND " | " OR ") cmp)* | "(" cond ")"
cmp    ::= name (" = " | " < " | " LIKE ") val | name " IN (" root-less ")"
root-less ::= "SELECT " cols " FROM " name (" WHERE " cond)?
val    ::= [0-9]+ | "'" [^']* "'"
name   ::= [a-z_]+
''', ("SELECT a, COUNT(b) FROM t WHERE x = 1 AND y IN (SELECT * FROM u);",)),
    "markdown": (r'''
root  ::= (head | para | item)+
head  ::= "#"{1,6} " " line
item  ::= ("* " | [0-9]+ ". ") line
para  ::= [^#*0-9\n] line "\n"
line  ::= (text | "**" text "**" | "`" [^`\n]* "`")* "\n"
text  ::= [^*`\n]+
''', ("# Title\n* a **b** `c`\nText\n\n1. x\n",)),
    "email": (
        'root ::= part ("." part)* "@" part ("." part)+\npart ::= [a-z0-9] ([a-z0-9-]* [a-z0-9])?\n',
        ("a.b-c@d.ef",),
    ),
    "tree": (r'''
root ::= node
node ::= "(" num (" " node (" " node)?)? ")"
num  ::= "-"? [1-9] [0-9]* | "0"
''', ("(1 (2 (3)) (-4))",)),
    "indirect": (r'''
root ::= a | "e"
a ::= b "x" | "p"
b ::= c "y" | a "z"
c ::= root "w" | b "v"
''', ("pzvyx", "ewyx", "e")),
    "comments": (r'''
root ::= # starts here
  first | # one
  second  # or the other
first ::= "1" (
    "," first   # again
  )?
second ::= "2"{3}
''', ("1,1,1", "222")),
}  # fmt: skip
