"""Orders that no advice may give, whoever put them into the evidence or the model.

Advice is not checked for sense. What is asked of it is that nobody loses data, protection or
secrets by following it, and that it holds no command line.
"""

import re
from typing import Final

_NEAR: Final = r"(?:\W+\w+){0,6}?\W+"
_DIRECTLY: Final = r"(?:\W+(?!(?:on|from|at|with|in)\b)\w+){0,6}?\W+"
_DESTROY: Final = (
    r"(?:delet|wip|eras|formatt?|dropp?|destroy|purg|truncat|shredd?|remov|overwrit|scrubb?|nuk"
    r"|corrupt|uninstall|clear(?=\W+(?:all|every))|flush(?=\W+all))(?:e|es|ed|ing|s)?"
)
_KEPT: Final = (
    r"(?:data|databases?|db|dbs|disks?|drives?|volumes?|partitions?|file ?systems?|tables?"
    r"|schemas?|backups?|snapshots?|buckets?|directory|directories|everything|accounts?|users?"
    r"|records?|namespaces?|clusters?|firewalls?)"
)
_STOP: Final = (
    r"(?:disabl(?:e|es|ed|ing)|turn(?:ing)? off|switch(?:ing)? off|stop(?:ping)?|remov(?:e|ing)"
    r"|bypass(?:ing)?|skip(?:ping)?|open(?:ing)?|deactivat(?:e|ing)|drop(?:ping)?|weaken(?:ing)?"
    r"|delet(?:e|ing)|flush(?:ing)?)"
)
_PROTECTION: Final = (
    r"(?:firewalls?|auth\w*|tls|ssl|encryption|security|selinux|apparmor|monitoring|logging"
    r"|alerting|auditing|audit|backups?|passwords?|permissions?|certificates?|mfa|2fa|antivirus)"
)
_GIVE: Final = (
    r"(?:transferr?|send|e-?mail|mail|post|upload|publish|forward|copy|shar|reveal|disclos|print"
    r"|export|giv|grant|hand|tell|show|exfiltrat|leak|dump|type|enter|provid|submit)"
    r"(?:e|es|ed|ing|s)?"
)
_CONFIDENTIAL: Final = (
    r"(?:data|credentials?|passwords?|passphrases?|secrets?|(?:api |private |ssh )?keys?(?!-)"
    r"|tokens?|auth\w*(?! service)|certificates?|cookies?|environment variables|dumps?|root access"
    r"|admin (?:access|rights)|privileges?|permissions?)"
)
_IGNORE: Final = (
    r"(?:ignor(?:e|ing)|silenc(?:e|ing)|mut(?:e|ing)|suppress(?:ing)?|dismiss(?:ing)?"
    r"|delet(?:e|ing)|close)"
)
_COMMANDS: Final = (
    r"(?:kubectl|systemctl|iptables|psql|mkfs|dd|scp|rsync|netcat|bash|powershell|redis-cli|mysql"
    r"|sh|zsh|python3?|perl|base64|nohup|crontab|useradd|passwd|flushall|flushdb|kill -\d+)"
)
_RUN: Final = r"(?:run|execut|past|typ|enter|invok|issu|launch)(?:e|es|ing|ning)?"
_DANGEROUS: Final = re.compile(
    rf"(?:\b{_DESTROY}{_DIRECTLY}{_KEPT}\b|\b{_STOP}{_NEAR}{_PROTECTION}\b|\b{_GIVE}{_NEAR}{_CONFIDENTIAL}\b"
    rf"|\b{_IGNORE}{_NEAR}(?:alerts?|alarms?|evidence|instructions?|warnings?)\b"
    rf"|\b{_RUN}{_NEAR}(?:commands?|scripts?|statements?|one-?liners?|shell|sql|binary|payload)\b"
    rf"|\b{_RUN} (?:the |this )?{_COMMANDS}\b|(?<![\w-]){_COMMANDS} (?=[a-z-]))",
    re.IGNORECASE,
)
_ORDER: Final = re.compile(
    rf"\W*(?:please |now |then |next,? )?{_DANGEROUS.pattern}", re.IGNORECASE
)


def is_dangerous(sentence: str, *, is_advice: bool = True) -> bool:
    """Whether a sentence tells to destroy, to unprotect, to hand out secrets or to run a command.

    What is no advice is an order only where it begins as one.

    >>> is_dangerous("Delete all data on db."), is_dangerous("Delete temporary files on db.")
    (True, False)
    >>> is_dangerous("Send the password to admin."), is_dangerous("Send less load to web-1.")
    (True, False)
    """
    find = _DANGEROUS.search if is_advice else _ORDER.match
    return find(sentence) is not None
