-- table attributes
CREATE TABLE "attributes" (
	id CHAR(32) DEFAULT (lower(hex(randomblob(16)))) NOT NULL,
	object CHAR(32) NOT NULL,
	name VARCHAR(100) NOT NULL,
	value JSON,
	created_on DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL,
	updated_on DATETIME,
	CONSTRAINT pk_attributes PRIMARY KEY (id),
	CONSTRAINT uq_attributes_object_name UNIQUE (object, name),
	CONSTRAINT ck_attributes_created_on_range CHECK (length(created_on) = 26 AND substr(created_on, 1, 4) > '0000' AND strftime('%Y-%m-%d %H:%M:%S', substr(created_on, 1, 19), '+0 days') IS substr(created_on, 1, 19) AND substr(created_on, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'),
	CONSTRAINT ck_attributes_name_not_empty CHECK (name <> ''),
	CONSTRAINT ck_attributes_updated_on_range CHECK (length(updated_on) = 26 AND substr(updated_on, 1, 4) > '0000' AND strftime('%Y-%m-%d %H:%M:%S', substr(updated_on, 1, 19), '+0 days') IS substr(updated_on, 1, 19) AND substr(updated_on, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'),
	CONSTRAINT ck_attributes_value_json CHECK (value IS NULL OR json_valid(value)),
	CONSTRAINT fk_attributes_object_object FOREIGN KEY(object) REFERENCES object (id) ON DELETE CASCADE
);

-- table link
CREATE TABLE "link" (
	id CHAR(32) DEFAULT (lower(hex(randomblob(16)))) NOT NULL,
	parent CHAR(32) NOT NULL,
	child CHAR(32) NOT NULL,
	parent_type CHAR(32) NOT NULL,
	child_type CHAR(32) NOT NULL,
	r_name VARCHAR(100) NOT NULL,
	CONSTRAINT pk_link PRIMARY KEY (id),
	CONSTRAINT uq_link_parent_child_r_name UNIQUE (parent, child, r_name),
	CONSTRAINT ck_link_not_to_itself CHECK (parent <> child),
	CONSTRAINT ck_link_r_name_not_empty CHECK (r_name <> ''),
	CONSTRAINT fk_link_child_object FOREIGN KEY(child) REFERENCES object (id) ON DELETE CASCADE,
	CONSTRAINT fk_link_child_type_type FOREIGN KEY(child_type) REFERENCES type (id),
	CONSTRAINT fk_link_parent_object FOREIGN KEY(parent) REFERENCES object (id) ON DELETE CASCADE,
	CONSTRAINT fk_link_parent_type_type FOREIGN KEY(parent_type) REFERENCES type (id)
);
CREATE INDEX ix_link_child ON link (child);

-- table object
CREATE TABLE "object" (
	id CHAR(32) DEFAULT (lower(hex(randomblob(16)))) NOT NULL,
	name VARCHAR(255) NOT NULL,
	version INTEGER DEFAULT 1 NOT NULL,
	type CHAR(32) NOT NULL,
	created_on DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL,
	created_by VARCHAR(100),
	CONSTRAINT pk_object PRIMARY KEY (id),
	CONSTRAINT ck_object_created_on_range CHECK (length(created_on) = 26 AND substr(created_on, 1, 4) > '0000' AND strftime('%Y-%m-%d %H:%M:%S', substr(created_on, 1, 19), '+0 days') IS substr(created_on, 1, 19) AND substr(created_on, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'),
	CONSTRAINT ck_object_name_not_empty CHECK (name <> ''),
	CONSTRAINT fk_object_type_type FOREIGN KEY(type) REFERENCES type (id)
);
CREATE INDEX ix_object_lower_name ON object (lower(name));

-- table permissions
CREATE TABLE "permissions" (
	id CHAR(32) DEFAULT (lower(hex(randomblob(16)))) NOT NULL,
	object CHAR(32) NOT NULL,
	user VARCHAR(100) NOT NULL,
	permission_level VARCHAR(5) DEFAULT 'read' NOT NULL,
	CONSTRAINT pk_permissions PRIMARY KEY (id),
	CONSTRAINT uq_permissions_object_user UNIQUE (object, user),
	CONSTRAINT ck_permissions_permission_level CHECK (permission_level IN ('read', 'write', 'admin')),
	CONSTRAINT ck_permissions_user_not_empty CHECK ("user" <> ''),
	CONSTRAINT fk_permissions_object_object FOREIGN KEY(object) REFERENCES object (id) ON DELETE CASCADE
);
CREATE INDEX ix_permissions_admin ON permissions (object) WHERE permission_level = 'admin';

-- table type
CREATE TABLE "type" (
	id CHAR(32) DEFAULT (lower(hex(randomblob(16)))) NOT NULL,
	type_name VARCHAR(100) NOT NULL,
	CONSTRAINT pk_type PRIMARY KEY (id),
	CONSTRAINT uq_type_type_name UNIQUE (type_name),
	CONSTRAINT ck_type_type_name_not_empty CHECK (type_name <> '')
);

-- table versioning
CREATE TABLE "versioning" (
	id CHAR(32) DEFAULT (lower(hex(randomblob(16)))) NOT NULL,
	object CHAR(32) NOT NULL,
	version INTEGER NOT NULL,
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL,
	CONSTRAINT pk_versioning PRIMARY KEY (id),
	CONSTRAINT uq_versioning_object_version UNIQUE (object, version),
	CONSTRAINT ck_versioning_created_at_range CHECK (length(created_at) = 26 AND substr(created_at, 1, 4) > '0000' AND strftime('%Y-%m-%d %H:%M:%S', substr(created_at, 1, 19), '+0 days') IS substr(created_at, 1, 19) AND substr(created_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'),
	CONSTRAINT fk_versioning_object_object FOREIGN KEY(object) REFERENCES object (id) ON DELETE CASCADE
);

-- table alembic_version
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version (version_num) VALUES ('013');
