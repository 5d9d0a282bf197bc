"""A shop that sells tickets: six gRPC services, a queue, a cache and a database.

    box -> seats (database, cache), prices (cache -> rates), both at once
        -> bank (database; two instances)
        -> queue "mails" -> mailer (span links, no parent)

It knows nothing of Sensus: OpenTelemetry's own packages send its spans and lines.
"""
