"""What each grammar of the library accepts, and what it refuses."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "json": (
        ('{"a": [1, -2.5e3, true, null], "b": {"\\u00e9": "x\\n"}}', "[ ]", ' "é" '),
        ("{'a': 1}", "[1,]", "01", '"\n"', "", "nul"),
    ),
    "json_lines": (
        ('{"a": 1}\n[true]\n', '1\n"x"', "{}"),
        ("\n", '{"a":\n1}', "1 2", "1\n\n2"),
    ),
    "iso_date": (
        ("2024-02-29", "1999-12-31T23:59:59.123Z", "2000-02-29T00:00+01:30"),
        ("2023-02-29", "1900-02-29", "2024-04-31", "2024-1-1", "2024-01-01T24:00", "24-01-01"),
    ),
    "email": (
        ("a.b+c@example.org", "x@y-z.co.uk", "o'neil@mail.example.com"),
        ("a@b", "@b.com", "a..b@c.de", "a@-b.com", "a b@c.de", "a@b.c"),
    ),
    "url": (
        ("https://example.org/a/b?c=d&e=%20#f", "http://u:p@127.0.0.1:8080", "ftp://x.y/"),
        ("example.org", "http:///a", "https://a b", "https://x:0", "https://x/%2", "mailto:a@b.c"),
    ),
    "sql_select": (
        (
            "SELECT * FROM t;",
            "select a.b, count(*) as n from t a left join u on a.x = u.x where n > 1 and not y is null "
            "group by a.b having count(*) >= 2 order by n desc, b limit 10 offset 5",
            "SELECT x FROM (SELECT y FROM z) AS q WHERE y IN (1, 2) OR name LIKE '%it''s%' UNION ALL SELECT 1 FROM d",
            "SELECT CASE WHEN a < 1 THEN 'x' ELSE 'y' END FROM \"my table\" WHERE a BETWEEN 1 AND 2",
        ),
        ("SELECT FROM t", "DELETE FROM t", "SELECT a FROM t WHERE", "SELECT a, FROM t", "SELECT 'a FROM t"),
    ),
    "arithmetic": (
        ("1 + 2 * -(3 - 4.5e2) / 6", "2^-3^2", "--1"),
        ("1 +", "(1", "1 2", "a", "", "1.", "*2"),
    ),
    "html_fragment": (
        ('<p>a <b>bold</b> &amp; <a href="x">link</a><br/></p>', "text", "<ul><li>1</li><li>2</li></ul><!-- c -->", ""),
        ("<p>", "<b><i></b></i>", "a & b", "<p x>y</p>", "<script></script>", "</p>"),
    ),
    "csv_row": (
        ('a,"b ""c"", d",,é', "", "1,2,3", '"line\nfeed",x'),
        ('a"b', '"a"b', '"a', "a\nb"),
    ),
    "python_expression": (
        (
            "f(x, *y, k=1)[1:2, ::3].z if not a and b <= c else {1: 'a', \"b\": [i for i in range(3) if i % 2]}",
            "-2 ** -x // 3 | 4 & 5 << 1",
            "(1,) + () + (2, 3)",
            "a is not None or b not in {1, 2}",
            "{k: v for k, v in d.items()}",
        ),
        ("1 +", "class", "f(x=1, y)", "lambda: 1", "a = b", "'a", "1 if 2", "x y", "[for i in x]", "import os"),
    ),
}
