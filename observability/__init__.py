"""What the people who run Sensus look at: metrics, rules, dashboards; read off the code."""
