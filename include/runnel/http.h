#pragma once
// HTTP/1.1, server and client: an umbrella.

#include "runnel/http/client.h"
#include "runnel/http/error.h"
#include "runnel/http/files.h"
#include "runnel/http/headers.h"
#include "runnel/http/mux.h"
#include "runnel/http/request.h"
#include "runnel/http/response.h"
#include "runnel/http/server.h"
#include "runnel/http/url.h"
