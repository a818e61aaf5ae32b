#include "router/core/http1/field_scan.hpp"

#include <algorithm>

#include "router/core/http1/byte_scan.hpp"

namespace svc::router {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

bool worth_reading(std::string_view head, std::size_t scanned, std::size_t longest_line) {
  if (scanned == 0 || scanned > head.size()) return true;
  const std::size_t first = head.substr(0, longest_line).find('\n');
  if (first == std::string_view::npos) return head.size() > longest_line;
  if (first >= scanned) return true;
  for (auto at = head.find('\n', scanned); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    if (head[at - 1] != '\r' || at < 3 || head[at - 2] == '\n') return true;
  }
  return false;
}

FieldScan::Step FieldScan::refuse(int status, std::string message) {
  refusal_ = {status, std::move(message)};
  return Step::refused;
}

FieldScan::Step FieldScan::blank_line() {
  if (end_ - at_ < 2) return Step::incomplete;
  if (at_[1] != '\n') return refuse(400, "a line of the header has a bare CR");
  at_ += 2;
  return Step::end;
}

FieldScan::Step FieldScan::bad_name(const char* name_end) {
  if (name_end == end_) {
    // One line may not eat the rest of the head's room before it shows what it is.
    if (static_cast<std::size_t>(name_end - at_) <= limits_.max_field_bytes) return Step::incomplete;
    return refuse(431, "a header field is longer than " + std::to_string(limits_.max_field_bytes) + " bytes");
  }
  if (name_end == at_) {
    if (*at_ == '\r') return blank_line();
    if (is_blank(*at_)) return refuse(400, "header lines must not be folded");
    if (*at_ == ':') return refuse(400, "a header field has no name");
  }
  if (*name_end == '\n') return refuse(400, "a line of the header ends in a bare LF");
  return refuse(400, "a header field's name is not valid");
}

FieldScan::Step FieldScan::bad_value(std::string_view name, const char* value_end) {
  if (*value_end == '\n') return refuse(400, "a line of the header ends in a bare LF");
  if (*value_end == '\r') return refuse(400, "a line of the header has a bare CR");
  return refuse(400, "the value of header field '" + std::string(name.substr(0, 64)) + "' has a control character");
}

FieldScan::Step FieldScan::accept(std::string_view name, const char* value, const char* value_end) {
  while (value != value_end && is_blank(*value)) ++value;
  while (value != value_end && is_blank(value_end[-1])) --value_end;
  const std::string_view trimmed(value, static_cast<std::size_t>(value_end - value));
  const std::size_t size = name.size() + trimmed.size();
  total_ += size;
  const std::size_t most = std::min(limits_.max_fields, fields_.size());
  if (count_ >= most) {
    return refuse(431, std::string("the ") + message_ + " has more than " + std::to_string(most) + " header fields");
  }
  if (size > limits_.max_field_bytes) {
    return refuse(431, "a header field is longer than " + std::to_string(limits_.max_field_bytes) + " bytes");
  }
  if (total_ > limits_.max_total_bytes) {
    return refuse(431, "the header is longer than " + std::to_string(limits_.max_total_bytes) + " bytes");
  }
  fields_[count_] = {name, trimmed};
  kinds_[count_++] = field_kind(name);
  return Step::field;
}

FieldScan::Step FieldScan::next() {
  const char* const name_end = find_end_of<TokenBytes>(at_, end_);
  if (name_end == end_ || *name_end != ':' || name_end == at_) return bad_name(name_end);
  const std::string_view name(at_, static_cast<std::size_t>(name_end - at_));
  const char* value = name_end + 1;
  const char* value_end = find_end_of<ValueBytes>(value, end_);
  // The LF is wanted too: without it the line could still turn out to have a bare CR.
  if (value_end == end_ || (*value_end == '\r' && value_end + 1 == end_)) return Step::incomplete;
  if (*value_end != '\r' || value_end[1] != '\n') return bad_value(name, value_end);
  at_ = value_end + 2;
  return accept(name, value, value_end);
}

bool ConnectionWords::add(std::string_view value) {
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view word = trim_blanks(value.substr(0, comma));
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
    if (equal_ignoring_case(word, "keep-alive")) {
      keep_alive = true;
    } else if (equal_ignoring_case(word, "close")) {
      close = true;
    } else if (is_token(word)) {
      upgrade = upgrade || equal_ignoring_case(word, "upgrade");
      if (count == options.size()) return false;
      options[count++] = word;
    }
  }
  return true;
}

}  // namespace svc::router
