"""Context-free grammars: front-ends (Lark, GBNF, EBNF), their normal form, LR tables and lexers."""
