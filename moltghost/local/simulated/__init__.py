"""Nodes and volumes of the embedded cluster that are simulated, by KWOK."""
