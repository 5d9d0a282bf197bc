"""Words the explanation: a template always, a language model if there is one."""
