"""A real alertmanager.yml becomes a routing; what is lost on the way is named, secrets included."""

from services.notifier.routing.alertmanager import convert_config
from services.notifier.routing.document import read
from services.notifier.routing.receivers import Email, PagerDuty, Slack, Webhook

CONFIG = """
global:
  resolve_timeout: 5m
  smtp_smarthost: 'localhost:25'
  smtp_from: 'alertmanager@example.org'
  smtp_auth_username: 'alertmanager'
  smtp_auth_password: 'hunter2'
templates: ['/etc/alertmanager/template/*.tmpl']
route:
  group_by: ['alertname', 'cluster', 'service']
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 3h
  receiver: team-X-mails
  routes:
  - matchers: [ service=~"foo1|foo2|baz" ]
    receiver: team-X-mails
    routes:
    - matchers: [ severity="critical" ]
      receiver: team-X-pager
  - match: {service: database}
    receiver: team-DB-pager
    group_by: [alertname, cluster, database]
inhibit_rules:
- source_matchers: [ severity="critical" ]
  target_matchers: [ severity="warning" ]
  equal: [alertname, cluster, service]
receivers:
- name: team-X-mails
  email_configs:
  - to: 'team-X+alerts@example.org, team-Y+alerts@example.org'
- name: team-X-pager
  email_configs:
  - {to: 'team-X+alerts-critical@example.org', send_resolved: true, html: '{{ template "x" . }}'}
  pagerduty_configs:
  - routing_key: topsecret
- name: team-DB-pager
  slack_configs:
  - {channel: '#db', api_url: 'https://hooks.slack.com/services/T0/B0/hushhush'}
  webhook_configs:
  - url: http://127.0.0.1:5001/
    http_config: {authorization: {credentials_file: /etc/token}, proxy_url: 'http://proxy'}
  opsgenie_configs:
  - api_key: alsosecret
"""


def test_example_of_alertmanager_is_taken_and_its_losses_are_named() -> None:
    text, lost, faults = convert_config(CONFIG)
    assert faults.found == []
    routing, left = read(text)
    assert left.found == []
    (mails,) = routing.receivers["team-X-mails"].integrations.values()
    assert isinstance(mails, Email)
    assert mails.sender == "alertmanager@example.org"
    assert not mails.send_resolved
    pager = routing.receivers["team-X-pager"].integrations
    assert isinstance(pager["pagerduty[0]"], PagerDuty)
    assert pager["pagerduty[0]"].send_resolved
    assert pager["email[0]"].send_resolved
    database = routing.receivers["team-DB-pager"].integrations
    assert isinstance(database["slack[0]"], Slack)
    assert isinstance(database["webhook[0]"], Webhook)
    assert database["webhook[0]"].authorization == "file:/etc/token"
    assert database["webhook[0]"].format == "alertmanager"
    assert [m.route.receiver for m in routing.matches({"service": "database"})] == ["team-DB-pager"]
    assert {path for path, _ in lost} == {
        "templates",
        "global.resolve_timeout",
        "receivers[0].email_configs[0].auth_password",
        "receivers[1].email_configs[0].auth_password",
        "receivers[1].email_configs[0].html",
        "receivers[1].pagerduty_configs[0].routing_key",
        "receivers[2].slack_configs[0].api_url",
        "receivers[2].webhook_configs[0].http_config.proxy_url",
        "receivers[2].opsgenie_configs",
    }


def test_no_secret_of_the_file_is_in_the_routing_or_in_what_is_lost() -> None:
    text, lost, _ = convert_config(CONFIG)
    for secret in ("hunter2", "topsecret", "hushhush", "alsosecret"):
        assert secret not in text
        assert secret not in str(lost)


def test_what_is_no_configuration_is_refused() -> None:
    for text in ("", "just text", "groups: []"):
        assert convert_config(text)[2].found
