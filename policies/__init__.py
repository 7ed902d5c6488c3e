"""Policy pack for GPU clusters that run private agents.

Runs under ``pulumi preview --policy-pack policies`` and wherever the analyzer protocol of Pulumi is
spoken. It imports what ``requirements.txt`` names and the standard library, so the folder can be
copied into any project. One module per area holds the rules; `rule` says what a rule is.
"""
