#include "common/core/wire/api_error.hpp"

#include "common/core/json_text.hpp"

namespace svc {

std::string error_body(std::string_view message) {
  std::string body = "{\"error\":";
  append_json_string(body, message);
  return body += '}';
}

std::string error_body(std::string_view message, std::string_view detail) {
  std::string body = "{\"error\":";
  append_json_string(body, message);
  body += ",\"detail\":";
  append_json_string(body, detail);
  return body += '}';
}

}  // namespace svc
