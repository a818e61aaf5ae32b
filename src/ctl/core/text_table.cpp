#include "ctl/core/text_table.hpp"

#include <algorithm>

namespace svc::ctl {

std::size_t shown_width(std::string_view text) {
  constexpr unsigned kTopBits = 0xC0;
  constexpr unsigned kContinuation = 0x80;
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & kTopBits) != kContinuation; }));
}

std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

void TextTable::column(std::string title, Align align) { columns_.push_back({std::move(title), align}); }

void TextTable::row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  if (rows_.empty()) return {};
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = shown_width(columns_[i].title);
    for (const auto& cells : rows_) width = std::max(width, shown_width(cells[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_line = [this, &out, &widths](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string filler(widths[i] - shown_width(cell), ' ');
      line += i == 0 ? "" : "  ";
      line += columns_[i].align == Align::left ? cell + filler : filler + cell;
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add_line([this](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& cells : rows_) {
    add_line([&cells](std::size_t i) -> const std::string& { return cells[i]; });
  }
  return out;
}

}  // namespace svc::ctl
