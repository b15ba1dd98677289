-- {{.Command}}
-- For HAProxy 2.6 or newer: save it as /etc/haproxy/userkeys.lua, beside the configuration of "userkeys recipe haproxy".

local function header(txn, name)
  local values, list = txn.http:req_get_headers()[name], {}
  -- The first index of these tables is 0.
  if values then
    for i = 0, #values do list[#list + 1] = values[i] end
  end
  return list
end

local function down(txn)
  local reply = txn:reply({ status = 503 })
  reply:add_header("retry-after", "5")
  reply:add_header("cache-control", "no-store")
  reply:add_header("content-type", "application/json")
  reply:set_body('{{.Down}}')
  txn:done(reply)
end

local function relay(txn, answer)
  local reply = txn:reply({ status = answer.status })
  for name, values in pairs(answer.headers) do
    if name ~= "content-length" and name ~= "connection" and name ~= "transfer-encoding" and not name:find("^x%-userkeys%-") then
      for _, value in pairs(values) do reply:add_header(name, value) end
    end
  end
  if answer.body then reply:set_body(answer.body) end
  txn:done(reply)
end

-- is_json tells an answer of userkeys from what HAProxy itself says when nobody answers.
local function is_json(answer)
  local values = answer.headers["content-type"]
  return values ~= nil and (values[0] or values[1] or ""):find("json") ~= nil
end

-- ask asks about a request and passes it on with the headers that identity names, or answers it.
local function ask(door)
  return function(txn)
    local h = {
      ["x-forwarded-method"] = { txn.sf:method() }, ["x-forwarded-uri"] = { txn.sf:pathq() },
      ["x-forwarded-host"] = { txn.sf:req_hdr("host") }, ["x-forwarded-for"] = { txn.sf:src() },
      ["x-forwarded-proto"] = { "{{if .TLS}}https{{else}}http{{end}}" }, ["connection"] = { "close" },
    }
    for _, name in ipairs(door.asks) do
      local values = header(txn, name)
      if #values > 0 then h[name] = values end
    end
    -- HAProxy asks up to four times when it gets no answer in time.
    local client = core.httpclient()
    local ok, answer = pcall(client.get, client, { url = door.url, dst = door.dst, headers = h, timeout = 1200 })
    if not ok or answer == nil or not door.answers[answer.status] or (answer.status == 503 and not is_json(answer)) then
      down(txn)
    elseif answer.status == 200{{if .Beside.Name}} or answer.status == 202{{end}} then
      local told = answer.headers["x-userkeys-status"]
      if door.says and (told == nil or (told[0] or told[1]) ~= door.says) then return down(txn) end
      for _, name in ipairs(door.identity) do
        local values = answer.headers[name]
        local value = values and (values[0] or values[1]) or ""
        if value == "" then txn.http:req_del_header(name) else txn.http:req_set_header(name, value) end
        -- A header for which there is no room is not set.
        if (header(txn, name)[1] or "") ~= value then return down(txn) end
        if name == "x-userkeys-key-id" and value ~= "" then txn:set_var("txn.userkeys_key_id", value) end
      end
{{- if eq .Beside.Name "oauth2-proxy"}}
    elseif answer.status == 401 and door.sign_in then
      local reply = txn:reply({ status = 302 })
      reply:add_header("location", door.sign_in .. txn.sf:pathq():gsub("[^%w%-._~/]", function(c) return ("%%%02X"):format(c:byte()) end))
      txn:done(reply)
{{- end}}
    else
      relay(txn, answer)
    end
  end
end

core.register_action("userkeys", { "http-req" }, ask({
  url = "http://{{httpHost .Ask}}{{.AskPath "forwarded"}}", dst = {{haproxyDst .Ask}},
  asks = {
    "user-api-key", "user-api-client-id", "authorization", "discourse-present", "sec-fetch-site", "origin", "accept",
    "user-agent",
  },
  answers = { [200] = true, [400] = true, [401] = true, [403] = true, [405] = true, [413] = true, [429] = true, [503] = true },
  -- Another answer than one of userkeys lets nobody through.
  says = "200",
  identity = {
    "authorization",
{{- range .Identity}}
    "{{lower .}}",
{{- end}}
  },
}), 0)
{{- if .Beside.Name}}

core.register_action("people", { "http-req" }, ask({
{{- if eq .Beside.Name "authelia"}}
  url = "http://{{httpHost .Beside.Address}}/api/authz/forward-auth", dst = {{haproxyDst .Beside.Address}},
  answers = { [200] = true, [302] = true, [303] = true, [401] = true, [403] = true },
{{- else}}
  url = "http://{{httpHost .Beside.Address}}/oauth2/auth", dst = {{haproxyDst .Beside.Address}},
  answers = { [200] = true, [202] = true, [401] = true, [403] = true },
  sign_in = "/oauth2/sign_in?rd=",
{{- end}}
  asks = { "cookie", "authorization", "accept", "x-requested-with", "user-agent" },
  identity = {
{{- range .Beside.Headers}}
    "{{lower .}}",
{{- end}}
  },
}), 0)
{{- end}}
