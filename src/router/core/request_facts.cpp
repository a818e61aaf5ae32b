#include "router/core/request_facts.hpp"

#include <simdjson.h>

namespace svc::router {
namespace {

namespace od = simdjson::ondemand;
// Its members are called through the result: those of the field itself differ from simdjson 3.0 to 3.6.
using Field = simdjson::simdjson_result<od::field>;

/// A larger document's index (up to 4 bytes for each of its bytes) is not kept.
constexpr std::size_t kKeptCapacity = 4U << 20U;

/// Reads one document forward. Each read_* returns false when the document cannot be followed any further; what is
/// merely of another type, or a string that cannot be unescaped, ends nothing.
class Walk {
 public:
  Walk(const FactsWanted& wanted, RequestFacts& facts) : wanted_(wanted), facts_(facts) {}

  bool read_top(od::object top) {
    for (Field field : top) {
      if (field.error() != simdjson::SUCCESS || !read_top_field(field)) return false;
    }
    return true;
  }

  [[nodiscard]] bool unreadable() const { return unreadable_; }
  [[nodiscard]] std::uint64_t text_bytes() const { return has_messages_ ? message_bytes_ : prompt_bytes_; }

 private:
  bool read_top_field(Field& field) {
    std::string_view name;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS) {
      unreadable_ = true;
      return true;
    }
    od::value value;
    if (field.value().get(value) != simdjson::SUCCESS) return false;
    if (name == "model") return read_text(value, facts_.model);
    if (name == "prompt_cache_key") return read_text(value, facts_.prompt_cache_key);
    if (name == "user") return read_text(value, facts_.user);
    if (name == "stream") return read_flag(value, facts_.stream);
    if (!wanted_.text_bytes) return true;
    if (name == "messages") return read_messages(value);
    if (name == "prompt") return read_texts(value, prompt_bytes_);
    return true;
  }

  // An error of type() means no kind of value: the next step finds out whether it can be skipped.
  static bool is(od::value& value, od::json_type wanted) {
    od::json_type type{};
    return value.type().get(type) == simdjson::SUCCESS && type == wanted;
  }

  bool read_text(od::value value, std::string& target) {
    target.clear();
    if (!is(value, od::json_type::string)) return true;
    std::string_view text;
    const auto error = value.get_string().get(text);
    if (error == simdjson::SUCCESS) {
      target = text;
      return true;
    }
    unreadable_ = true;
    return error == simdjson::STRING_ERROR;
  }

  bool read_flag(od::value value, bool& target) {
    target = false;
    if (!is(value, od::json_type::boolean)) return true;
    bool flag = false;
    if (value.get_bool().get(flag) == simdjson::SUCCESS) {
      target = flag;
      return true;
    }
    unreadable_ = true;
    return false;
  }

  bool add_bytes(od::value& value, std::uint64_t& bytes) {
    std::string_view text;
    const auto error = value.get_string().get(text);
    if (error == simdjson::SUCCESS) bytes += text.size();
    return error == simdjson::SUCCESS || error == simdjson::STRING_ERROR;
  }

  /// A string, or the strings of an array.
  bool read_texts(od::value value, std::uint64_t& bytes) {
    bytes = 0;
    if (is(value, od::json_type::string)) return add_bytes(value, bytes);
    return each(value, [&](od::value item) { return !is(item, od::json_type::string) || add_bytes(item, bytes); });
  }

  bool read_messages(od::value value) {
    has_messages_ = is(value, od::json_type::array);
    message_bytes_ = 0;
    return each(value, [&](od::value message) {
      std::uint64_t bytes = 0;
      const bool whole = named(message, "content", [&](od::value content) {
        bytes = 0;
        if (is(content, od::json_type::string)) return add_bytes(content, bytes);
        return each(content, [&](od::value part) { return read_part(part, bytes); });
      });
      message_bytes_ += bytes;
      return whole;
    });
  }

  /// {"type": "text", "text": "..."}; some clients call the text "content".
  bool read_part(od::value part, std::uint64_t& bytes) {
    if (is(part, od::json_type::string)) return add_bytes(part, bytes);
    std::uint64_t text = 0;
    std::uint64_t content = 0;
    const bool whole = named(part, "text", "content", [&](od::value value, bool first) {
      std::uint64_t& target = first ? text : content;
      target = 0;
      return !is(value, od::json_type::string) || add_bytes(value, target);
    });
    bytes += text > 0 ? text : content;
    return whole;
  }

  template <class Read>
  bool each(od::value& value, Read read) {
    if (!is(value, od::json_type::array)) return true;
    od::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return false;
    for (auto item : array) {
      od::value element;
      if (std::move(item).get(element) != simdjson::SUCCESS) return false;
      if (!read(element)) return false;
    }
    return true;
  }

  template <class Read>
  bool named(od::value& value, std::string_view first, std::string_view second, Read read) {
    if (!is(value, od::json_type::object)) return true;
    od::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return false;
    for (Field field : object) {
      if (field.error() != simdjson::SUCCESS) return false;
      std::string_view name;
      // Names of inner objects decide nothing but a size.
      if (field.unescaped_key().get(name) != simdjson::SUCCESS || (name != first && name != second)) continue;
      od::value found;
      if (field.value().get(found) != simdjson::SUCCESS || !read(found, name == first)) return false;
    }
    return true;
  }
  template <class Read>
  bool named(od::value& value, std::string_view name, Read read) {
    return named(value, name, name, [&](od::value found, bool) { return read(found); });
  }

  const FactsWanted& wanted_;
  RequestFacts& facts_;
  bool unreadable_ = false;
  bool has_messages_ = false;
  std::uint64_t message_bytes_ = 0;
  std::uint64_t prompt_bytes_ = 0;
};

}  // namespace

struct FactsReader::Parser {
  od::parser parser;
};

static_assert(FactsReader::kPadding >= simdjson::SIMDJSON_PADDING);

void RequestFacts::clear() {
  is_object = complete = stream = false;
  text_bytes = 0;
  // Keeps their memory.
  model.clear();
  prompt_cache_key.clear();
  user.clear();
}

FactsReader::FactsReader() : parser_(std::make_unique<Parser>()) {}
FactsReader::~FactsReader() = default;

void FactsReader::read(std::string_view body, const FactsWanted& wanted, RequestFacts& facts) {
  facts.clear();
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || body[first] != '{') return;
  facts.is_object = true;

  od::document document;
  od::object top;
  if (parser_->parser.iterate(body.data(), body.size(), body.size() + kPadding).get(document) == simdjson::SUCCESS &&
      document.get_object().get(top) == simdjson::SUCCESS) {
    Walk walk(wanted, facts);
    const bool whole = walk.read_top(top);
    facts.text_bytes = walk.text_bytes();
    // Past the object nothing may follow: an engine could read that instead.
    const bool at_end = whole && document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    facts.complete = at_end && !walk.unreadable();
  }
  if (parser_->parser.capacity() > kKeptCapacity) parser_ = std::make_unique<Parser>();
}

}  // namespace svc::router
