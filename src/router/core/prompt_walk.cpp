#include "router/core/prompt_walk.hpp"

namespace svc::router {
namespace {

using json_walk::each;
using json_walk::fields;
using json_walk::is;
using json_walk::read_raw;
using json_walk::read_string;
using simdjson::ondemand::json_type;
using Value = simdjson::ondemand::value;

bool is_opaque(std::string_view name) {
  return name == "image_url" || name == "input_audio" || name == "video_url" || name == "file" || name == "file_data" ||
         name == "source";
}

}  // namespace

bool PromptWalk::read_field(std::string_view name, Value& value) {
  if (name == "messages") return read_messages(value);
  if (name == "prompt") return read_prompt(value);
  if (name == "input") return read_input(value);
  if (name == "system") return read_system(value, PromptParts::Field::system, system_bytes_);
  if (name == "instructions") return read_system(value, PromptParts::Field::instructions, instruction_bytes_);
  if (name == "tools" && shape_) return read_raw(value, [&](std::string_view raw) { parts_.set_tools(raw); });
  return true;
}

std::uint64_t PromptWalk::text_bytes() const {
  const std::uint64_t rest = has_messages_ ? message_bytes_ : has_input_ ? input_bytes_ : prompt_bytes_;
  return system_bytes_ + instruction_bytes_ + rest;
}

bool PromptWalk::add_text(Value& value, std::uint64_t& bytes) {
  std::string_view text;
  if (!read_string(value, text)) return false;
  bytes += text.size();
  if (shape_) parts_.add_text(text);
  return true;
}

bool PromptWalk::add_opaque(Value& value) {
  if (!is(value, json_type::string)) return read_raw(value, [&](std::string_view raw) { parts_.add_opaque(raw); });
  std::string_view text;
  if (!read_string(value, text)) return false;
  parts_.add_opaque(text);
  return true;
}

bool PromptWalk::read_messages(Value& value) {
  has_messages_ = is(value, json_type::array);
  message_bytes_ = 0;
  parts_.restart(PromptParts::Field::messages);
  return each(value, [&](Value message) { return read_message(message, message_bytes_); });
}

bool PromptWalk::read_message(Value& value, std::uint64_t& bytes) {
  std::uint64_t content_bytes = 0;
  std::size_t content_begin = 0;  // among the parts
  std::size_t content_end = 0;
  if (shape_) parts_.begin_message();
  const bool whole = fields(value, [&](std::string_view name, json_walk::Field& field) {
    Value found;
    if (name == "content") {
      content_bytes = 0;
      parts_.erase(content_begin, content_end);  // if it comes twice
      content_begin = parts_.size();
      const bool read = field.value().get(found) == simdjson::SUCCESS && read_content(found, content_bytes);
      content_end = parts_.size();
      return read;
    }
    // Calls of tools and what they gave: `tool_calls` in chats, `arguments` and `output` in items of the Responses API.
    const bool is_call = name == "tool_calls" || name == "arguments" || name == "output";
    if (!shape_ || (name != "role" && !is_call)) return true;
    if (field.value().get(found) != simdjson::SUCCESS) return false;
    if (name == "tool_calls") return read_raw(found, [&](std::string_view raw) { parts_.add_json(raw); });
    std::uint64_t uncounted = 0;
    if (is_call) return read_content(found, uncounted);
    if (!is(found, json_type::string)) return true;
    std::string_view role;
    if (!read_string(found, role)) return false;
    parts_.set_role(role);
    return true;
  });
  bytes += content_bytes;
  return whole;
}

/// A string, or an array of parts.
bool PromptWalk::read_content(Value& value, std::uint64_t& bytes) {
  if (is(value, json_type::string)) return add_text(value, bytes);
  return each(value, [&](Value part) { return read_part(part, bytes, false); });
}

/// {"type": "text", "text": "..."}; some clients call the text "content". `nested`: in the result of a tool.
bool PromptWalk::read_part(Value& part, std::uint64_t& bytes, bool nested) {
  if (is(part, json_type::string)) return add_text(part, bytes);
  std::string_view text;
  std::string_view content;
  const bool whole = fields(part, [&](std::string_view name, json_walk::Field& field) {
    const bool named_text = name == "text";
    const bool named_content = name == "content";
    const bool other = shape_ && (name == "input" || is_opaque(name));
    if (!named_text && !named_content && !other) return true;
    Value value;
    if (field.value().get(value) != simdjson::SUCCESS) return false;
    if (other && name != "input") return add_opaque(value);
    if (other) return read_raw(value, [&](std::string_view raw) { parts_.add_json(raw); });
    std::string_view& target = named_text ? text : content;
    target = {};
    if (is(value, json_type::string)) return read_string(value, target);
    if (!named_content || !shape_ || nested) return true;
    std::uint64_t uncounted = 0;
    return each(value, [&](Value inner) { return read_part(inner, uncounted, true); });
  });
  const std::string_view found = text.empty() ? content : text;
  bytes += found.size();
  if (shape_ && !found.empty()) parts_.add_text(found);
  return whole;
}

/// As a first message of role system is.
bool PromptWalk::read_system(Value& value, PromptParts::Field field, std::uint64_t& bytes) {
  bytes = 0;
  parts_.restart(field);
  if (shape_) parts_.begin_message("system");
  return read_content(value, bytes);
}

/// A string or an array of strings, each like a message of the user; token ids; or messages and other items.
bool PromptWalk::read_input(Value& value) {
  has_input_ = is(value, json_type::string) || is(value, json_type::array);
  input_bytes_ = 0;
  parts_.restart(PromptParts::Field::input);
  return read_items(value, [&](Value& item) {
    if (is(item, json_type::object)) return read_message(item, input_bytes_);
    if (shape_) parts_.begin_message("user");
    return add_text(item, input_bytes_);
  });
}

/// A string, or an array of strings, of token ids, or of arrays of these.
bool PromptWalk::read_prompt(Value& value) {
  prompt_bytes_ = 0;
  parts_.restart(PromptParts::Field::prompt);
  if (shape_) parts_.begin_message("prompt");
  return read_items(value, [&](Value& item) {
    if (is(item, json_type::string)) return add_text(item, prompt_bytes_);
    return !shape_ || read_raw(item, [&](std::string_view raw) { parts_.add_json(raw); });
  });
}

/// `add` is given strings and objects; token ids, in one array or in arrays of the array, are added as JSON.
template <class Add>
bool PromptWalk::read_items(Value& value, Add add) {
  if (is(value, json_type::string)) return add(value);
  const char* ids = nullptr;  // the numbers of the array, as they stand there: one piece, not one for each
  const char* ids_end = nullptr;
  const bool whole = each(value, [&](Value item) {
    if (is(item, json_type::string) || is(item, json_type::object)) return add(item);
    if (!shape_) return true;
    // Without its brackets, so that one prompt is the same with and without an array around it.
    if (!is(item, json_type::number)) {
      return read_raw(item, [&](std::string_view raw) { parts_.add_json(raw.substr(1, raw.rfind(']') - 1)); });
    }
    const std::string_view token = item.raw_json_token();
    if (ids == nullptr) ids = token.data();
    ids_end = token.data() + token.size();
    return true;
  });
  if (ids != nullptr) parts_.add_json({ids, static_cast<std::size_t>(ids_end - ids)});
  return whole;
}

}  // namespace svc::router
