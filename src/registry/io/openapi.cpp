#include "registry/io/http_api.hpp"
#include "registry/io/openapi_document.hpp"

namespace svc::registry {

std::string openapi_json(std::string_view version) {
  std::string text(kOpenApiDocument);
  if (const auto at = text.find(kVersionPlaceholder); at != std::string::npos) {
    text.replace(at, kVersionPlaceholder.size(), version);
  }
  return text;
}

}  // namespace svc::registry
