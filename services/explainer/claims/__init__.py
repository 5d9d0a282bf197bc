"""What an explanation says, as claims: a form is filled, each claim verified, then rendered.

A form holds ids of evidence and suspects and words of closed lists, nothing else: whoever fills it,
the default or a language model, can write no number, name, time or sentence.
"""
