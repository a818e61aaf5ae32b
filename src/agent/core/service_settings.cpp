#include "agent/core/service_settings.hpp"

#include <array>
#include <utility>

#include "common/core/duration_text.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/nearest_name.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::agent {
namespace {

/// Every spelling; the first of a kind is the one that is printed.
constexpr std::array<std::pair<std::string_view, EngineKind>, 10> kKinds{{
    {"command", EngineKind::command},
    {"infinilm", EngineKind::infinilm},
    {"infinilm-rust", EngineKind::infinilm_rust},
    {"vllm", EngineKind::vllm},
    {"sglang", EngineKind::sglang},
    {"llama-cpp", EngineKind::llama_cpp},
    {"sim", EngineKind::sim},
    {"mock", EngineKind::sim},
    {"llama.cpp", EngineKind::llama_cpp},
    {"llamacpp", EngineKind::llama_cpp},
}};
constexpr std::size_t kNames = 8;  ///< of those above that messages name

constexpr std::string_view kEngineSuffix = "-server";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
  }
  return out;
}

Result<void> check_name(const std::string& name) {
  if (const auto problem = wire::name_problem(name)) return invalid("name: " + *problem);
  if (name.size() + kEngineSuffix.size() > wire::kMaxNameBytes) {
    return invalid("name must be at most " + std::to_string(wire::kMaxNameBytes - kEngineSuffix.size()) +
                   " bytes, got " + std::to_string(name.size()));
  }
  if (name.find('/') != std::string::npos || name.starts_with('.')) {
    return invalid("name must not have '/' nor begin with '.': files are named after it, got '" + name + "'");
  }
  return {};
}

Result<void> check_port(std::uint16_t port) {
  if (port == 0) {
    return invalid("port is required: --port 5001, or 'port' in the configuration file, or --services FILE");
  }
  if (port == 65535) return invalid("port 65535 leaves none for the agent's own pages, which are on the next one");
  return {};
}

Result<void> check_registration(const ServiceSettings& s) {
  if (s.fail_timeout != Duration::zero() && s.fail_timeout < std::chrono::milliseconds(1)) {
    return invalid("fail_timeout must be 1ms or more (0 = not stated), got '" + format_duration(s.fail_timeout) + "'");
  }
  if (s.metadata_json.size() > wire::kMaxMetadataBytes) {
    return invalid("metadata must be at most 64 KiB as JSON, got " + std::to_string(s.metadata_json.size()) + " bytes");
  }
  return {};
}

}  // namespace

std::string_view to_string(EngineKind kind) {
  for (const auto& [name, known] : kKinds) {
    if (known == kind) return name;
  }
  return "?";
}

bool parse_engine_kind(std::string_view text, EngineKind& kind) {
  const std::string wanted = lower(text);
  for (const auto& [name, known] : kKinds) {
    if (name != wanted) continue;
    kind = known;
    return true;
  }
  return false;
}

std::string unknown_engine_kind(std::string_view text) {
  std::array<std::string_view, kNames> names{};
  std::string list;
  for (std::size_t i = 0; i < kNames; ++i) {
    names[i] = kKinds[i].first;
    list.append(i == 0 ? "" : ", ").append(names[i]);
  }
  const auto nearest = nearest_name(lower(text), names);
  return "must be one of " + list + ", got '" + std::string(text.substr(0, 64)) + "'" +
         (nearest ? "; did you mean '" + *nearest + "'?" : "");
}

std::string default_name(const ServiceSettings& settings) {
  return lower(settings.service_type) + "-" + std::to_string(settings.port);
}

Result<void> check_service(const ServiceSettings& s) {
  EngineKind kind{};
  if (!parse_engine_kind(s.service_type, kind)) return invalid("service_type " + unknown_engine_kind(s.service_type));
  for (const auto& checked : {check_port(s.port), check_name(s.name), check_registration(s)}) {
    if (!checked) return checked;
  }
  if (!valid_host(s.host)) {
    return invalid("host must be a DNS name, an IPv4 or an IPv6 address, got '" + s.host + "'");
  }
  if (!s.health_path.starts_with('/') || s.health_path.find_first_of(" #") != std::string::npos) {
    return invalid("health_path must begin with '/' and have neither blanks nor '#', got '" + s.health_path + "'");
  }
  if (s.restart_backoff_max < s.restart_backoff_first) {
    return invalid("restart_backoff_max must not be shorter than restart_backoff_first");
  }
  return {};
}

}  // namespace svc::agent
