from services.gateway.specification import merged

ORDERS = {
    "openapi": "3.1.0",
    "paths": {
        "/v1/orders": {"get": {"answer": {"$ref": "#/components/schemas/Money"}}},
    },
    "components": {
        "schemas": {"Money": {"type": "object"}, "Order": {"$ref": "#/components/schemas/Money"}},
        "securitySchemes": {"bearer": {"type": "http"}},
    },
}
INVENTORY = {
    "paths": {"/v1/products": {"get": {"oneOf": [{"$ref": "#/components/schemas/Money"}]}}},
    "components": {
        "schemas": {"Money": {"type": "string"}},
        "securitySchemes": {"bearer": {"type": "http"}},
    },
}


def test_all_paths_stand_in_one_document() -> None:
    document = merged({"orders": ORDERS, "inventory": INVENTORY}, title="Weft", version="1")
    assert list(document["paths"]) == ["/v1/orders", "/v1/products"]
    assert document["info"] == {"title": "Weft", "version": "1"}


def test_the_same_schema_name_in_two_services_stays_two_schemas() -> None:
    document = merged({"orders": ORDERS, "inventory": INVENTORY}, title="Weft", version="1")
    schemas = document["components"]["schemas"]
    assert schemas["orders.Money"] == {"type": "object"}
    assert schemas["inventory.Money"] == {"type": "string"}
    assert schemas["orders.Order"] == {"$ref": "#/components/schemas/orders.Money"}
    one_of = document["paths"]["/v1/products"]["get"]["oneOf"]
    assert one_of == [{"$ref": "#/components/schemas/inventory.Money"}]
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http"}}


def test_references_to_other_places_are_left_alone() -> None:
    document = {"paths": {"/x": {"get": {"is": {"$ref": "#/components/responses/Problem"}}}}}
    operation = merged({"a": document}, title="t", version="1")["paths"]["/x"]["get"]
    assert operation["is"] == {"$ref": "#/components/responses/Problem"}


def test_every_operation_may_be_answered_that_one_asks_too_often() -> None:
    document = merged({"orders": ORDERS, "inventory": INVENTORY}, title="Weft", version="1")
    for path in document["paths"].values():
        assert "Retry-After" in path["get"]["responses"]["429"]["headers"]
