"""Migrations of the dispatch schema."""
