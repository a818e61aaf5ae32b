// What routing reads out of a body, against a parser that builds the whole document.
#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "router/core/request_facts.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using namespace svc;
using fuzz::require;
using nlohmann::json;
using router::FactsReader;
using router::RequestFacts;

RequestFacts read(const std::string& body, bool text_bytes, char padding) {
  static FactsReader reader;
  const std::string padded = body + std::string(FactsReader::kPadding, padding);
  RequestFacts facts;
  reader.read(std::string_view(padded).substr(0, body.size()), router::FactsWanted{.text_bytes = text_bytes}, facts);
  return facts;
}

router::PromptShape shape_of(const std::string& body) {
  static FactsReader reader;
  const std::string padded = body + std::string(FactsReader::kPadding, '"');
  RequestFacts facts;
  router::PromptShape shape;
  const auto reading =
      reader.read(std::string_view(padded).substr(0, body.size()), router::FactsWanted{.prompt = true}, facts);
  reading.shape_prompt("model", 16, shape);
  return shape;
}

void require_same(const RequestFacts& a, const RequestFacts& b) {
  require(a.is_object == b.is_object && a.complete == b.complete, "the same kind of body");
  require(a.model == b.model && a.user == b.user, "the same model and user");
  require(a.prompt_cache_key == b.prompt_cache_key && a.stream == b.stream, "the same key and stream");
}

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::uint64_t part_bytes(const json& part) {
  if (part.is_string()) return part.get_ref<const std::string&>().size();
  if (!part.is_object()) return 0;
  const std::string text = text_at(part, "text");
  return text.empty() ? text_at(part, "content").size() : text.size();
}

json value_at(const json& object, const char* key) { return object.contains(key) ? object[key] : json(); }

std::uint64_t content_bytes(const json& content) {
  if (content.is_string()) return content.get_ref<const std::string&>().size();
  std::uint64_t bytes = 0;
  if (content.is_array()) {
    for (const json& part : content) bytes += part_bytes(part);
  }
  return bytes;
}

std::uint64_t text_bytes(const json& body) {
  std::uint64_t bytes = content_bytes(value_at(body, "system")) + content_bytes(value_at(body, "instructions"));
  const json messages = value_at(body, "messages");
  const json input = value_at(body, "input");
  if (messages.is_array()) {
    for (const json& message : messages) {
      if (message.is_object()) bytes += content_bytes(value_at(message, "content"));
    }
    return bytes;
  }
  const bool has_input = input.is_string() || input.is_array();
  const json prompt = has_input ? input : value_at(body, "prompt");
  if (prompt.is_string()) return bytes + content_bytes(prompt);
  if (!prompt.is_array()) return bytes;
  for (const json& item : prompt) {
    if (item.is_string()) bytes += content_bytes(item);
    if (has_input && item.is_object()) bytes += content_bytes(value_at(item, "content"));
  }
  return bytes;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body = fuzz::text_of(data, size);
  const RequestFacts facts = read(body, true, '"');
  require(facts.is_object || !facts.complete, "only an object is complete");
  const RequestFacts brief = read(body, false, '}');
  require(brief.text_bytes == 0, "text is counted only when asked for");
  const auto shape = shape_of(body);
  require(shape.blocks.empty() || shape.blocks.back().end <= shape.units, "blocks lie within the prompt");
  // Of a body that is no JSON, what is not looked into is not checked either.
  require(brief.is_object == facts.is_object, "an object is one however far it is read");

  if (body.find('\0') != std::string::npos) return 0;  // the end of the text, to nlohmann
  const json document = json::parse(body, nullptr, false);
  if (document.is_discarded()) return 0;
  require(facts.is_object == document.is_object(), "an object is one");
  if (!facts.is_object) return 0;
  require(facts.complete, "valid JSON is read to its end");
  std::string compact(body.size() + 128, ' ');
  std::size_t length = 0;
  if (simdjson::minify(body.data(), body.size(), compact.data(), length) == simdjson::SUCCESS) {
    compact.resize(length);
    require(shape_of(compact).end_hash == shape.end_hash, "blanks between values make no difference");
  }
  require_same(facts, brief);
  for (const char padding : {'}', ' ', '\0', '\xff'}) {
    const RequestFacts again = read(body, true, padding);
    require_same(facts, again);
    require(facts.text_bytes == again.text_bytes, "what follows the body has no part in it");
  }
  require(facts.model == text_at(document, "model"), "the model is that of the document");
  require(facts.user == text_at(document, "user"), "the user is that of the document");
  require(facts.prompt_cache_key == text_at(document, "prompt_cache_key"), "the key is that of the document");
  require(facts.stream == (document.contains("stream") && document["stream"] == true),
          "stream is that of the document");
  require(facts.text_bytes == text_bytes(document), "the text is that of the document");
  return 0;
}
