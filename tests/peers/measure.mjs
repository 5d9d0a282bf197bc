// Three rounds of a counter and a gauge, exported one by one as OTLP/JSON: node measure.mjs URL TOKEN NAME
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';

const [url, token, name] = process.argv.slice(2);
const exporter = new OTLPMetricExporter({ url, headers: { authorization: `Bearer ${token}` } });
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
const resource = resourceFromAttributes({ 'service.name': name });
const provider = new MeterProvider({ readers: [reader], resource });
const meter = provider.getMeter('peers');
const requests = meter.createCounter('peer.requests', { unit: '{request}' });
const depth = meter.createGauge('peer.depth');
const latency = meter.createHistogram('peer.latency', { unit: 's' });
for (let round = 0; round < 3; round++) {
  requests.add(3, { 'http.route': '/x' });
  depth.record(round);
  latency.record(0.1);
  latency.record(0.2);
  await provider.forceFlush();
  await new Promise((resolve) => setTimeout(resolve, 10)); // each round has a time of its own
}
process.exit(0); // a shutdown would export a fourth time
