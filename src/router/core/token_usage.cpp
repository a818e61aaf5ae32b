#include "router/core/token_usage.hpp"

namespace svc::router {
namespace {

// Real ones have a few hundred bytes.
constexpr std::size_t kMostObjectBytes = 4096;

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) ++at;
  return at;
}

/// Where the value of a key begins whose name (with its quotes) ends before `at`; npos when no colon follows.
std::size_t value_after(std::string_view text, std::size_t at) {
  at = skip_blanks(text, at);
  if (at >= text.size() || text[at] != ':') return std::string_view::npos;
  at = skip_blanks(text, at + 1);
  return at < text.size() ? at : std::string_view::npos;
}

/// The object that begins at the front of `text`, or what is there of it. usage holds numbers, objects and plain words:
/// braces inside of strings are not expected, and would only shorten what is read.
std::string_view object_at_front(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return text.substr(0, i + 1);
  }
  return text;
}

std::optional<std::uint64_t> integer_of(std::string_view object, std::string_view quoted_name) {
  const std::size_t name = object.find(quoted_name);
  if (name == std::string_view::npos) return std::nullopt;
  std::size_t at = value_after(object, name + quoted_name.size());
  if (at == std::string_view::npos) return std::nullopt;
  constexpr std::size_t kMaxDigits = 15;
  const std::size_t first = at;
  std::uint64_t value = 0;
  for (; at < object.size() && object[at] >= '0' && object[at] <= '9'; ++at) {
    if (at - first == kMaxDigits) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(object[at] - '0');
  }
  if (at == first) return std::nullopt;
  if (at < object.size() && (object[at] == '.' || object[at] == 'e' || object[at] == 'E')) return std::nullopt;
  return value;
}

ToldUsage read_usage(std::string_view object) {
  ToldUsage told;
  told.prompt = integer_of(object, "\"prompt_tokens\"");
  if (!told.prompt) {
    told.input = integer_of(object, "\"input_tokens\"");
    told.cache_read = integer_of(object, "\"cache_read_input_tokens\"");
    told.cache_creation = integer_of(object, "\"cache_creation_input_tokens\"");
  }
  told.completion = integer_of(object, "\"completion_tokens\"");
  if (!told.completion) told.completion = integer_of(object, "\"output_tokens\"");
  told.cached = integer_of(object, "\"cached_tokens\"");
  return told;
}

}  // namespace

void ToldUsage::merge(const ToldUsage& later) {
  const auto take = [](std::optional<std::uint64_t>& mine, const std::optional<std::uint64_t>& other) {
    if (other) mine = other;
  };
  take(prompt, later.prompt);
  take(input, later.input);
  take(completion, later.completion);
  take(cached, later.cached);
  take(cache_read, later.cache_read);
  take(cache_creation, later.cache_creation);
}

Usage ToldUsage::sum() const {
  Usage usage;
  usage.known = known();
  usage.prompt_tokens = prompt ? *prompt : input.value_or(0) + cache_read.value_or(0) + cache_creation.value_or(0);
  usage.completion_tokens = completion.value_or(0);
  usage.cached_tokens = cached ? *cached : cache_read.value_or(0);
  usage.cached_known = cached || cache_read;
  return usage;
}

ToldUsage find_usage(std::string_view text) {
  // Inside of a JSON string the quotes would be escaped, so this can only be a key (or a value: no colon follows).
  constexpr std::string_view kName = "\"usage\"";
  constexpr int kMostCandidates = 8;  // an engine has one; more is somebody who wants to keep us busy
  int candidates = 0;
  for (std::size_t name = text.rfind(kName); name != std::string_view::npos && ++candidates <= kMostCandidates;
       name = name == 0 ? std::string_view::npos : text.rfind(kName, name - 1)) {
    const std::size_t at = value_after(text, name + kName.size());
    if (at == std::string_view::npos || text[at] != '{') continue;
    const ToldUsage told = read_usage(object_at_front(text.substr(at, kMostObjectBytes)));
    if (told.known()) return told;
  }
  return {};
}

}  // namespace svc::router
