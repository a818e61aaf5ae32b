// The bodies of the registry's requests, and what is stored and printed of them.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/core/address_policy.hpp"
#include "common/core/http_url.hpp"
#include "common/core/wire/registry_api.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using namespace svc;
using namespace std::chrono_literals;
using fuzz::require;
using nlohmann::json;

bool within(Duration value, Duration lo, Duration hi) { return value >= lo && value <= hi; }
bool sized(const std::string& text, std::size_t lo, std::size_t hi) { return text.size() >= lo && text.size() <= hi; }

bool fine_models(const std::vector<std::string>& models) {
  return models.size() <= wire::kMaxModels && std::all_of(models.begin(), models.end(), [](const std::string& model) {
           return sized(model, 1, wire::kMaxModelBytes);
         });
}

void check_limits(const wire::ServiceSpec& spec) {
  require(!wire::name_problem(spec.name), "the name is within its rules");
  require(sized(spec.host, 1, wire::kMaxHostBytes) && valid_host(spec.host), "the host is a host");
  require(!looks_like_odd_ipv4(spec.host), "the host is no disguised IPv4 address");
  require(spec.port >= 1, "the port is not 0");
  require(sized(spec.hostname, 1, wire::kMaxFieldBytes), "the hostname is within its limits");
  require(sized(spec.url, 1, wire::kMaxFieldBytes) && parse_http_url(spec.url).has_value(), "the url is a URL");
  require(sized(spec.status, 1, wire::kMaxStatusBytes), "the status is within its limits");
  require(spec.timestamp.size() <= wire::kMaxTimestampBytes, "the timestamp is within its limits");
  require(spec.metadata_json.size() <= wire::kMaxMetadataBytes, "the metadata is within its limits");
  require(spec.weight >= 0 && spec.weight <= wire::kMaxWeight, "the weight is within its limits");
  require(spec.max_fails >= 0 && spec.max_fails <= wire::kMaxMaxFails, "max_fails is within its limits");
  require(within(spec.fail_timeout, 1ms, 24h), "fail_timeout is within its limits");
  require(!spec.heartbeat_interval || within(*spec.heartbeat_interval, 100ms, 24h), "heartbeat_interval likewise");
  require(!spec.remove_after || within(*spec.remove_after, 1s, 24h * 30), "remove_after likewise");
  require(fine_models(spec.models), "the models are within their limits");
  const std::string health_url = wire::facts_of(spec.metadata_json).health_url;
  require(health_url.empty() || parse_http_url(health_url).has_value(), "a health_url is a URL");
}

/// Returns what a client sees.
std::string check_printed(const wire::ServiceSpec& spec) {
  const auto facts = wire::facts_of(spec.metadata_json);
  require(facts.models.size() <= wire::kMaxModels, "at most kMaxModels of the metadata's models");
  std::string text = wire::static_service_json(spec, facts) + "}";
  const json printed = json::parse(text, nullptr, false);
  require(printed.is_object(), "a service is printed as JSON");
  require(printed.size() == 13, "a service is printed whole");
  require(printed["name"] == spec.name && printed["status"] == spec.status, "texts are printed as they are");
  require(printed["port"] == spec.port && printed["weight"] == spec.weight, "numbers are printed as they are");
  require(printed["metadata"] == json::parse(spec.metadata_json), "metadata is printed as it is");
  return text;
}

void check_stored(const wire::ServiceSpec& spec) {
  const auto back = wire::decode_spec(wire::encode_spec(spec));
  require(back.has_value(), "what was stored can be read");
  require(*back == spec, "what was stored is what is read");
}

void check_registration(const std::string& body) {
  const auto spec = wire::parse_registration(body, WallTime{});
  if (!spec) {
    fuzz::require_printable(spec.error().to_string());
    return;
  }
  check_limits(*spec);
  check_stored(*spec);
  // A client may send back what it was answered.
  auto again = wire::parse_registration(check_printed(*spec), WallTime{});
  if (!again) {
    // Models of the metadata are not held to the limits of registered ones.
    require(!fine_models(wire::models_of(*spec, wire::facts_of(spec->metadata_json))), "an answer can be registered");
    return;
  }
  again->models = spec->models;
  again->max_fails_given = spec->max_fails_given;
  again->heartbeat_interval = spec->heartbeat_interval;
  again->remove_after = spec->remove_after;
  require(*again == *spec, "an answer says what was registered");
}

void check_update(const std::string& body) {
  const auto patch = wire::parse_update(body);
  if (!patch) {
    fuzz::require_printable(patch.error().to_string());
    return;
  }
  wire::ServiceSpec before;
  before.name = "a";
  before.host = "10.0.0.1";
  before.port = 1;
  before.hostname = "a";
  before.url = "http://10.0.0.1:1";
  before.status = "running";
  const wire::ServiceSpec after = wire::patched(before, *patch);
  require(!patch->empty() || after == before, "an empty update changes nothing");
  require(wire::patched(after, *patch) == after, "an update twice is an update once");
  require(after.name == before.name && after.timestamp == before.timestamp, "an update renames nothing");
  check_limits(after);
  check_stored(after);
  check_printed(after);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body = fuzz::text_of(data, size);
  check_registration(body);
  check_update(body);
  const auto heartbeat = wire::parse_heartbeat(body);
  require(!heartbeat.status || sized(*heartbeat.status, 1, wire::kMaxStatusBytes), "a heartbeat's status is in limits");
  const auto facts = wire::facts_of(body);
  require(facts.models.size() <= wire::kMaxModels, "at most kMaxModels models");
  if (const auto stored = wire::decode_spec(body)) {
    check_stored(*stored);
    check_printed(*stored);
  } else {
    fuzz::require_printable(stored.error().to_string());
  }
  return 0;
}
