// Opens Swagger UI on our own description of the API.
window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true });
