"""What can be read of a machine, under the names that node_exporter made usual."""

from services.agent.machine.machine import Machine, Reading

__all__ = ["Machine", "Reading"]
