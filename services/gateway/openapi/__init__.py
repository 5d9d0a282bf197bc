"""The OpenAPI 3.1 document, made from the same endpoints that are served."""

from services.gateway.openapi.comments import Comments
from services.gateway.openapi.document import document
from services.gateway.openapi.operations import operation_of
from services.gateway.openapi.schemas import MessageSchemas

__all__ = ["Comments", "MessageSchemas", "document", "operation_of"]
