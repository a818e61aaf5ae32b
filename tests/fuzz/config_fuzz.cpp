// A configuration file: what is accepted says the same when it is printed and read again.
#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"
#include "registry/config.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using namespace svc;
using fuzz::require;
using nlohmann::json;

/// Every option also as a flag: lists and texts aside, whose values may hold commas or be empty.
void check_flags(registry::RegistryConfig& config, const json& values) {
  for (const auto& option : config.options().options()) {
    if (option.kind == "text" || option.kind == "list") continue;
    const json& value = values.at(option.key);
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    require(config.options().set(option.key, text, option.flag).has_value(), "a printed value is a flag's value");
  }
  require(json(config.options().values()) == values, "flags mean what the file means");
}

/// False when the file was refused.
bool load(registry::RegistryConfig& config, const json& file) {
  Result<void> done;
  if (const auto section = file.find("registry"); section != file.end()) done = config.options().read_json(*section);
  if (done) done = config.read_extra(file);
  if (done) done = config.validate();
  if (!done) fuzz::require_printable(done.error().to_string());
  return done.has_value();
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = parse_json(fuzz::text_of(data, size));
  if (!file) {
    fuzz::require_printable(file.error().to_string());
    return 0;
  }
  if (!file->is_object()) return 0;
  registry::RegistryConfig config;
  if (!load(config, *file)) return 0;

  const json values = config.options().values();
  const auto printed = parse_json(values.dump());
  require(printed && *printed == values, "the effective configuration is printed as JSON");
  json second = *file;
  second["registry"] = *printed;
  registry::RegistryConfig again;
  require(load(again, second), "the effective configuration is accepted");
  require(json(again.options().values()) == values, "the effective configuration means itself");
  check_flags(again, values);

  const auto& settings = config.settings();
  require(settings.remove_after >= settings.heartbeat_timeout, "no removal while a lease lives");
  require(!settings.strict_servers || !settings.roster.empty(), "strict_servers has a list");
  require(settings.address_policy.allow.size() == settings.allow_networks.size(), "every network counts");
  return 0;
}
