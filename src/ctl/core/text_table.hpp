// Columns of text that line up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace svc::ctl {

class TextTable {
 public:
  enum class Align { left, right };

  void column(std::string title, Align align = Align::left);
  /// One cell for each column; fewer are filled up with "". What could end a line or steer a terminal is shown as "?".
  void row(std::vector<std::string> cells);

  /// Title line and rows, two blanks between columns, none at the ends of lines. "" without a row.
  [[nodiscard]] std::string text() const;

 private:
  struct Column {
    std::string title;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Characters (code points) of UTF-8 text: what it takes on a terminal, but for wide and combining ones.
[[nodiscard]] std::size_t shown_width(std::string_view text);

/// Without control characters, which each become "?".
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace svc::ctl
