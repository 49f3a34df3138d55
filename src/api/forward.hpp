// Forward declarations that the headers of all endpoints share.
#pragma once

#include <vector>

#include "api/problem.hpp"
#include "http/message.hpp"
#include "http/target.hpp"

namespace vesper::api {

class Context;
struct Answer;
struct HttpExchange;
using Query = std::vector<http::QueryParameter>;

}  // namespace vesper::api
