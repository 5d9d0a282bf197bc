"""Words that are numbers, times or products, and plain words that are no names."""

import re
from typing import Final

_UNITS_OF_TEN: Final = """
two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand
"""
_SPELLED: Final = """
zero dozens? twice thrice doubl(?:e(?!-check)|ed|es|ing) tripl(?:e|ed|es|ing)
quadrupl(?:e|ed|es|ing) quintupl(?:e|ed|es|ing) half halves halved halving thirds? quarters?
fourths? fifths? sixths? sevenths? eighths? ninths? tenths? hundredths? thousandths? minus fold
lakhs? crores? googol myriads? (?:[a-z]{1,12})?illi(?:on|ard)s?(?:ths?)?
"""
_DAYS: Final = "monday tuesday wednesday thursday friday saturday sunday"
_MONTHS: Final = """
january february april june july august september october november december
jan feb apr jun jul aug sept oct nov dec
"""
_TIMES: Final = """
yesterday today tomorrow tonight noon midday midnight morning afternoon evening nights? overnight
weekends? dawn dusk sunrise sunset o'clock lunchtime ago fortnights? am pm
seconds secs? minutes? mins? hours? hrs? days? weeks? months? years? decades? century centuries
"""

NUMBER_WORDS: Final = re.compile(
    rf"\b(?:(?:{'|'.join(_UNITS_OF_TEN.split())})s?(?:-?fold)?"
    r"|(?:many|multi|several)-?fold|orders? of magnitude|by an order|factors? of"
    r"|an order (?:higher|lower|more|less)"
    rf"|{'|'.join(_SPELLED.split())})\b",
    re.IGNORECASE,
)
"""Numbers, fractions and multipliers in words."""

TIME_WORDS: Final = re.compile(
    rf"\b(?:{'|'.join((*_DAYS.split(), *_MONTHS.split(), *_TIMES.split()))})\b"
    r"|\b(?:an?|one|this|that|each|every|last|next|past|few|several|many|split) second\b"
    r"|\b(?:in|last|this|next|since) (?:the )?(?:spring|summer|autumn|fall|winter)\b"
    r"|\b(?:in|on|of|since|until|by|last|next|early|late|mid|this) (?:may|march)\b",
    re.IGNORECASE,
)
"""Times and durations in words. "second" alone is an ordinal, "may" and "march" are verbs."""

_PRODUCTS_LIST: Final = """
redis valkey memcached kafka zookeeper rabbitmq nats pulsar postgres postgresql mysql mariadb oracle
mongodb cassandra elasticsearch opensearch clickhouse influxdb nginx apache haproxy envoy istio
traefik consul etcd vault docker containerd jenkins argocd cloudflare aws azure gcp ec2 s3 lambda
dynamodb snowflake tomcat java python golang nodejs php celery prometheus grafana jaeger ollama
"""
PRODUCTS: Final = frozenset(_PRODUCTS_LIST.split())
"""Names that models like to bring in; struck unless the evidence has them."""

_FUNCTION_WORDS_LIST: Final = """
a an the this that these those its it their there here each every any no same other another all both
some such most more many much several few one single is was are were be been being has had have does
did do can could should would will may might must or of on in at to from with by for as and but nor
yet so if than then though although which who whose what where when while why how whether until
unless because since due before after during between within without through across into onto over
under above below against among along around about toward towards beyond beside besides despite
near next not only also again still just even instead up down out off both either neither per via
itself themselves we you your they he she his her our us i
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS_LIST.split())

_PLAIN_WORDS_LIST: Final = """
affected first second last failing slow busy upstream downstream whole rose fell shows named called
restart check cpu ram io api http https dns tls tcp udp sql ssd gc jvm oom vm ip url ui utc
kubernetes linux memory disk network load latency traffic errors error requests request responses
response usage utilization utilisation saturation throughput bandwidth capacity storage queue
queues threads connections packets logs traces metrics metric series spans evidence alert alerts
anomaly anomalies incident incidents event events change changes deployment deployments release
service services host hosts pod pods node nodes container containers database databases instance
instances server servers cluster clusters application applications system systems process processes
cause causes root symptom symptoms suspect suspects threshold thresholds summary mitigation
consider investigate inspect review verify confirm examine identify find look see read compare
monitor watch check ensure make try start stop begin restart reboot roll rollback revert undo
redeploy deploy scale add increase reduce decrease lower raise limit throttle cap drain move shift
reroute route redirect isolate remove free clear clean delete kill terminate pause resume disable
enable reset repair fix replace upgrade update patch adjust tune optimize optimise profile analyze
analyse determine trace follow contact ask notify escalate wait give get take keep apply run use
set allocate provision migrate balance rebalance
however therefore thus hence meanwhile additionally furthermore moreover overall afterwards later
earlier shortly subsequently simultaneously initially finally suddenly consequently accordingly
likely probably possibly apparently evidently currently nearby once prior given based following
according starting beginning high higher highest low lower elevated increased increasing decreased
rising falling heavy sustained sharp sudden abnormal unusual excessive severe critical warning
normal usual strong clear no nothing nobody none everything something missing thresholds crossed
like yes immediately temporarily gradually users clients customers callers jobs work queries query
pool pools calls level itself overloaded faulty unhealthy healthy main primary own remote new old
waits waited serves served handles handled uses used runs ran needs needed depends depended
sends sent receives received went goes became becomes remains remained stays stayed caused causing
crashed failed fails hung leaks leaked exceeded exceeds exhausted consumes consumed began started
stopped recovered responds responded returned returns throws threw
offload shed evict cordon tell request  bring place put
resource resources exhaustion contention pressure spike spikes jump rise drop growth failure
failures timeout timeouts crash crashes outage problem problems issue issues data value values time
figures people team teams access availability performance health status state log contact
busiest slowest largest biggest
dependent saturated restarted stopped running observed measured elevated reported
"""
PLAIN_WORDS: Final = frozenset(_PLAIN_WORDS_LIST.split()) | FUNCTION_WORDS
"""Words that a sentence may write with a capital though nothing is called so."""

_INFRASTRUCTURE_LIST: Final = """
db database api svc service services server worker cache queue proxy gateway backend frontend node
pod job app web host prod production dev staging test cluster store storage broker scheduler agent
daemon cron master main replica primary secondary shard auth user payment payments order orders
cart checkout search mail
"""
INFRASTRUCTURE: Final = frozenset(_INFRASTRUCTURE_LIST.split())
"""Parts of the names that people give to services: "payments-db", "auth-svc"."""

_QUALIFYING_LIST: Final = """
level side wide related based bound facing specific intensive heavy hit miss backed driven aware
dependent local independent free ready time
"""
QUALIFYING: Final = frozenset(_QUALIFYING_LIST.split())
"""Last parts of words that name nothing: "service-level", "server-side"."""

_COMPOUND_WORDS_LIST: Final = """
start-up fail-over roll-back set-up shut-down scale-up scale-out clean-up back-up double-check
re-run re-deploy re-check re-enable re-route fine-tune
"""
COMPOUND_WORDS: Final = frozenset(_COMPOUND_WORDS_LIST.split())
"""Words with a hyphen that name nothing."""

ADVERBS: Final = "also|then|just|still|now|often|always|sometimes|soon|never|itself|not|no"
_STATES_LIST: Final = """
is was are were be been has have had does did do can could will would may might must should took
takes went goes got gets made makes led leads began came ran runs fell falls rose rises lost loses
broke breaks needs keeps kept saw sees hit hits sent sends shows hung grew brought brings drove
drives hangs waits says said held holds set sets cut cuts put ate eats burn burns
of on at and or because while when as to by for from with
"""
STATES: Final = "|".join(_STATES_LIST.split())
"""Words behind a word that is somebody: "Zephyr is", not "Rotate old"."""

_PLURALS_LIST: Final = """
logs caches connections queries retries files tables indexes pods services requests jobs metrics
traces limits errors processes threads sessions nodes hosts replicas workers backups resources users
clients pools queues buffers deploys deployments changes
"""
PLURALS: Final = frozenset(_PLURALS_LIST.split())
"""Words that look like verbs and name many things: "Rotate logs"."""
