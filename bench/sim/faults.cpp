#include "bench/sim/faults.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "bench/sim/bad_framing.hpp"
#include "common/core/duration_text.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"

namespace svc::sim {
namespace {

constexpr std::array kKinds = {FaultKind::refuse,           FaultKind::reset_on_accept,
                               FaultKind::reset_on_head,    FaultKind::reset,
                               FaultKind::reset_after_head, FaultKind::hang,
                               FaultKind::hang_health,      FaultKind::slow,
                               FaultKind::die_mid_stream,   FaultKind::step_failure,
                               FaultKind::framing,          FaultKind::status};
constexpr std::array kTargets = {FaultTarget::generate, FaultTarget::health, FaultTarget::models, FaultTarget::all};

template <class Array>
std::vector<std::string> words_of(const Array& values) {
  std::vector<std::string> words;
  for (const auto value : values) words.emplace_back(to_string(value));
  return words;
}

template <class Array, class Enum>
void find_word(const Array& values, std::string_view word, Enum& target) {
  for (const auto value : values) {
    if (to_string(value) == word) target = value;
  }
}

/// "status:status=503,count=2" as a JSON object. Values that are no numbers are strings, or true and false.
nlohmann::json from_short_form(std::string_view text) {
  const std::size_t colon = text.find(':');
  auto object = nlohmann::json::object({{"fault", text.substr(0, colon)}});
  std::string_view rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    const std::string value(equals == std::string_view::npos ? "true" : pair.substr(equals + 1));
    const auto parsed = parse_json(value);
    object[std::string(pair.substr(0, equals))] = parsed.has_value() ? *parsed : nlohmann::json(value);
  }
  return object;
}

}  // namespace

std::string_view to_string(FaultKind kind) {
  switch (kind) {
    case FaultKind::refuse: return "refuse";
    case FaultKind::reset_on_accept: return "reset_on_accept";
    case FaultKind::reset_on_head: return "reset_on_head";
    case FaultKind::reset: return "reset";
    case FaultKind::reset_after_head: return "reset_after_head";
    case FaultKind::hang: return "hang";
    case FaultKind::hang_health: return "hang_health";
    case FaultKind::slow: return "slow";
    case FaultKind::die_mid_stream: return "die_mid_stream";
    case FaultKind::step_failure: return "step_failure";
    case FaultKind::framing: return "framing";
    case FaultKind::status: return "status";
  }
  return "?";
}

std::string_view to_string(FaultTarget target) {
  switch (target) {
    case FaultTarget::generate: return "generate";
    case FaultTarget::health: return "health";
    case FaultTarget::models: return "models";
    case FaultTarget::all: return "all";
  }
  return "?";
}

Result<Fault> parse_fault(std::string_view text) {
  nlohmann::json object;
  if (text.starts_with('{')) {
    auto parsed = parse_json(text);
    if (parsed.has_error()) return parsed.error();
    object = std::move(*parsed);
  } else {
    object = from_short_form(text);
  }
  static constexpr std::string_view kKeys[] = {"fault", "on",  "share",  "count", "for",        "ms",
                                               "after", "rst", "status", "name",  "retry_after"};
  Fault fault;
  JsonReader reader(object, "");
  std::string word;
  reader.required("fault");
  if (reader.choice("fault", word, words_of(kKinds))) find_word(kKinds, word, fault.kind);
  const bool whole_process = fault.kind == FaultKind::refuse || fault.kind == FaultKind::reset_on_accept ||
                             fault.kind == FaultKind::step_failure;
  if (whole_process || fault.kind == FaultKind::hang) fault.on = FaultTarget::all;
  if (fault.kind == FaultKind::hang_health) fault.on = FaultTarget::health;
  if (reader.choice("on", word, words_of(kTargets))) find_word(kTargets, word, fault.on);
  reader.number("share", fault.share, 0, 1);
  reader.integer("count", fault.count, -1, 1'000'000'000);
  reader.duration("for", fault.length, Duration(1), std::chrono::hours(24));
  reader.integer("ms", fault.ms, 0, 3'600'000);
  reader.integer("after", fault.after, 0, 1'000'000'000);
  reader.flag("rst", fault.rst);
  reader.integer("status", fault.status, 200, 599);
  reader.integer("retry_after", fault.retry_after, 0, 1'000'000);
  if (reader.text("name", fault.name) || fault.kind == FaultKind::framing) {
    if (find_framing(fault.name) == nullptr) reader.fail("name", "must be one of " + framing_names());
  }
  reader.known(kKeys);
  if (const auto error = reader.error()) return *error;
  if (fault.count == 0) fault.count = -1;
  return fault;
}

std::uint64_t Faults::add(Fault fault) {
  fault.id = next_id_++;
  faults_.push_back(std::move(fault));
  return faults_.back().id;
}

bool Faults::remove(std::uint64_t id) {
  return std::erase_if(faults_, [id](const Fault& fault) { return fault.id == id; }) > 0;
}

bool Faults::remove(std::string_view kind) {
  return std::erase_if(faults_, [kind](const Fault& fault) { return to_string(fault.kind) == kind; }) > 0;
}

bool Faults::has(FaultKind kind) const {
  return std::any_of(faults_.begin(), faults_.end(), [kind](const Fault& fault) { return fault.kind == kind; });
}

bool Faults::dice_fall_for(double share) {
  if (share >= 1) return true;
  dice_ ^= dice_ << 13U;
  dice_ ^= dice_ >> 7U;
  dice_ ^= dice_ << 17U;
  return static_cast<double>(dice_ >> 11U) * 0x1p-53 < share;
}

std::string Faults::to_json() const {
  std::string out = "{\"faults\":[";
  for (const Fault& fault : faults_) {
    if (out.back() == '}') out += ',';
    nlohmann::ordered_json one = {{"id", fault.id},       {"fault", to_string(fault.kind)}, {"on", to_string(fault.on)},
                                  {"share", fault.share}, {"count", fault.count},           {"done", fault.done},
                                  {"rst", fault.rst}};
    if (fault.kind == FaultKind::slow) one["ms"] = fault.ms;
    if (fault.kind == FaultKind::die_mid_stream) one["after"] = fault.after;
    if (fault.kind == FaultKind::framing) one["name"] = fault.name;
    if (fault.kind == FaultKind::status) one["status"] = fault.status;
    if (fault.length > Duration::zero()) one["for"] = format_duration(fault.length);
    out += one.dump();
  }
  return out + "]}";
}

}  // namespace svc::sim
