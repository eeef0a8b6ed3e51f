"""Ready grammars: json, json_lines, iso_date, email, url, sql_select, arithmetic, html_fragment, csv_row and
python_expression. `load(name)` gives text, description and examples."""

from grammars.library.ready import LibraryGrammar, load, names

__all__ = ["LibraryGrammar", "load", "names"]
