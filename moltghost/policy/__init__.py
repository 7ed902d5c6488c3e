"""Runs the policy pack of a project over resources, and tells what it found.

The rules are in the project's folder ``policies``; nothing here knows any of them. The pack is
asked through Pulumi's analyzer protocol, as the stock CLI asks it.
"""
