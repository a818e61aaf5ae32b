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
  Walk(const FactsWanted& wanted, RequestFacts& facts, PromptParts& parts)
      : wanted_(wanted), facts_(facts), parts_(parts) {}

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
    if (!wanted_.text_bytes && !wanted_.prompt) return true;
    if (name == "messages") return read_messages(value);
    if (name == "prompt") return read_prompt(value);
    if (name == "tools" && wanted_.prompt) return read_raw(value, [&](std::string_view raw) { parts_.set_tools(raw); });
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

  /// `text` is empty when it cannot be unescaped.
  static bool read_string(od::value& value, std::string_view& text) {
    text = {};
    const auto error = value.get_string().get(text);
    if (error != simdjson::SUCCESS) text = {};
    return error == simdjson::SUCCESS || error == simdjson::STRING_ERROR;
  }

  bool add_text(od::value& value, std::uint64_t& bytes) {
    std::string_view text;
    if (!read_string(value, text)) return false;
    bytes += text.size();
    if (wanted_.prompt) parts_.add_text(text);
    return true;
  }

  /// An array or an object as it stands in the body; others are passed over.
  template <class Take>
  bool read_raw(od::value& value, Take take) {
    std::string_view raw;
    if (is(value, od::json_type::array)) {
      od::array array;
      if (value.get_array().get(array) != simdjson::SUCCESS || array.raw_json().get(raw) != simdjson::SUCCESS)
        return false;
      take(raw);
    } else if (is(value, od::json_type::object)) {
      od::object object;
      if (value.get_object().get(object) != simdjson::SUCCESS || object.raw_json().get(raw) != simdjson::SUCCESS) {
        return false;
      }
      take(raw);
    }
    return true;
  }

  /// A string, or an array of strings, of token ids, or of arrays of these.
  bool read_prompt(od::value value) {
    prompt_bytes_ = 0;
    parts_.restart_prompt();
    const auto add = [&](od::value& item) {
      std::string_view text;
      if (!read_string(item, text)) return false;
      prompt_bytes_ += text.size();
      if (wanted_.prompt) parts_.add_prompt(text);
      return true;
    };
    if (is(value, od::json_type::string)) return add(value);
    const char* ids = nullptr;  // the numbers of the array, as they stand there: one piece, not one for each
    const char* ids_end = nullptr;
    const bool whole = each(value, [&](od::value item) {
      if (is(item, od::json_type::string)) return add(item);
      if (!wanted_.prompt) return true;
      if (!is(item, od::json_type::number)) {
        return read_raw(item, [&](std::string_view raw) { parts_.add_prompt(raw); });
      }
      const std::string_view token = item.raw_json_token();
      if (ids == nullptr) ids = token.data();
      ids_end = token.data() + token.size();
      return true;
    });
    if (ids != nullptr) parts_.add_prompt({ids, static_cast<std::size_t>(ids_end - ids)});
    return whole;
  }

  bool read_messages(od::value value) {
    has_messages_ = is(value, od::json_type::array);
    message_bytes_ = 0;
    parts_.restart_messages();
    return each(value, [&](od::value message) {
      std::uint64_t bytes = 0;
      if (wanted_.prompt) parts_.begin_message();
      const bool whole = fields(message, [&](std::string_view name, Field& field) {
        od::value found;
        if (name == "content") {
          bytes = 0;
          if (field.value().get(found) != simdjson::SUCCESS) return false;
          if (is(found, od::json_type::string)) return add_text(found, bytes);
          return each(found, [&](od::value part) { return read_part(part, bytes); });
        }
        if (!wanted_.prompt || (name != "role" && name != "tool_calls")) return true;
        if (field.value().get(found) != simdjson::SUCCESS) return false;
        if (name == "tool_calls") return read_raw(found, [&](std::string_view raw) { parts_.add_text(raw); });
        if (!is(found, od::json_type::string)) return true;
        std::string_view role;
        if (!read_string(found, role)) return false;
        parts_.set_role(role);
        return true;
      });
      message_bytes_ += bytes;
      return whole;
    });
  }

  /// {"type": "text", "text": "..."}; some clients call the text "content".
  bool read_part(od::value part, std::uint64_t& bytes) {
    if (is(part, od::json_type::string)) return add_text(part, bytes);
    std::string_view text;
    std::string_view content;
    const bool whole = fields(part, [&](std::string_view name, Field& field) {
      const bool named_text = name == "text";
      const bool opaque = wanted_.prompt && is_opaque(name);
      if (!named_text && name != "content" && !opaque) return true;
      od::value value;
      if (field.value().get(value) != simdjson::SUCCESS) return false;
      if (opaque) return read_raw(value, [&](std::string_view raw) { parts_.add_opaque(raw); });
      std::string_view& target = named_text ? text : content;
      target = {};
      return !is(value, od::json_type::string) || read_string(value, target);
    });
    const std::string_view found = text.empty() ? content : text;
    bytes += found.size();
    if (wanted_.prompt && !found.empty()) parts_.add_text(found);
    return whole;
  }

  static bool is_opaque(std::string_view name) {
    return name == "image_url" || name == "input_audio" || name == "video_url" || name == "file";
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

  /// `read` is given each field's name; it returns false when the document cannot be followed.
  template <class Read>
  bool fields(od::value& value, Read read) {
    if (!is(value, od::json_type::object)) return true;
    od::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return false;
    for (Field field : object) {
      if (field.error() != simdjson::SUCCESS) return false;
      std::string_view name;
      // Names of inner objects decide nothing but a size and a preference.
      if (field.unescaped_key().get(name) != simdjson::SUCCESS) continue;
      if (!read(name, field)) return false;
    }
    return true;
  }

  const FactsWanted& wanted_;
  RequestFacts& facts_;
  PromptParts& parts_;
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
  parts_.clear();
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || body[first] != '{') return;
  facts.is_object = true;

  od::document document;
  od::object top;
  if (parser_->parser.iterate(body.data(), body.size(), body.size() + kPadding).get(document) == simdjson::SUCCESS &&
      document.get_object().get(top) == simdjson::SUCCESS) {
    Walk walk(wanted, facts, parts_);
    const bool whole = walk.read_top(top);
    facts.text_bytes = walk.text_bytes();
    // Past the object nothing may follow: an engine could read that instead.
    const bool at_end = whole && document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    facts.complete = at_end && !walk.unreadable();
  }
  if (!wanted.prompt) release();
}

void FactsReader::shape_prompt(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) const {
  parts_.shape(seed, block_bytes, shape);
}

void FactsReader::release() {
  parts_.clear();
  if (parser_->parser.capacity() > kKeptCapacity) parser_ = std::make_unique<Parser>();
}

}  // namespace svc::router
