-- Run once by the postgres image, when its volume is empty: the services' role owns its database and
-- nothing else. Each service makes a schema of its own in it.
\getenv password MODELBUS_DB_PASSWORD
CREATE ROLE modelbus LOGIN PASSWORD :'password';
CREATE DATABASE modelbus OWNER modelbus;
REVOKE ALL ON DATABASE modelbus FROM PUBLIC;
