// Writes field lines; those that are copied go on in runs, as they came.
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <span>
#include <string>
#include <string_view>

#include "common/core/header_rules.hpp"

namespace svc::router {

inline void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

template <std::unsigned_integral T>
void append_number(std::string& out, T value) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

[[nodiscard]] inline bool is_one_of(std::string_view name, std::span<const std::string_view> options) {
  return std::any_of(options.begin(), options.end(),
                     [name](std::string_view option) { return equal_ignoring_case(option, name); });
}

/// Neighbours in the received head that read "Name: value\r\n" already are appended together. flush() at the end.
class FieldCopy {
 public:
  explicit FieldCopy(std::string& out) : out_(out) {}

  void add(const FieldView& field) {
    const char* const name_end = field.name.data() + field.name.size();
    const char* const value_end = field.value.data() + field.value.size();
    const bool tidy = field.value.data() == name_end + 2 && name_end[0] == ':' && name_end[1] == ' ';
    if (tidy && end_ != nullptr && field.name.data() == end_ + 2 && end_[0] == '\r' && end_[1] == '\n') {
      end_ = value_end;
      return;
    }
    flush();
    if (tidy) {
      begin_ = field.name.data();
      end_ = value_end;
    } else {
      append_field(out_, field.name, field.value);
    }
  }

  void flush() {
    if (end_ == nullptr) return;
    out_.append(begin_, end_).append("\r\n");
    begin_ = end_ = nullptr;
  }

 private:
  std::string& out_;
  const char* begin_ = nullptr;
  const char* end_ = nullptr;
};

}  // namespace svc::router
