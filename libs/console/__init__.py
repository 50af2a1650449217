"""The web shell of pages: layout, login, languages, tables, charts and live updates; it knows no service's data.

A service brings templates, messages and an `Accounts`; the shell brings everything a page has in common.
"""
