#include "common/io/token_file.hpp"

#include <algorithm>
#include <sstream>

#include "common/io/read_file.hpp"

namespace svc {
namespace {

constexpr std::size_t kMaxTokenBytes = 4096;
constexpr std::size_t kMaxFileBytes = 16U << 20U;
constexpr std::string_view kBlanks = " \t\r";

}  // namespace

Result<std::string> read_token_file(const std::string& path) {
  if (path.empty()) return std::string();
  const auto text = read_file(path, kMaxFileBytes);
  if (!text) return wrap("cannot read the token file '" + path + "'", text.error());
  std::istringstream file(*text);
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string::npos || line[begin] == '#') continue;
    std::string token = line.substr(begin, line.find_first_of(kBlanks, begin) - begin);
    const bool visible = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (!visible || token.size() > kMaxTokenBytes) {
      return invalid("the token in '" + path + "' must be 1 to 4096 visible ASCII characters");
    }
    return token;
  }
  return invalid("there is no token in '" + path + "'");
}

}  // namespace svc
